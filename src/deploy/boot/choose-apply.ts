/** How a deployment comes into use: under the processes that run, with a new user space over the running kernel, or with a restart. */
import type { EntryContents } from './entry.ts';

export type Apply = 'live' | 'soft-reboot' | 'reboot';

export interface ApplyFacts {
  /** Where the stack shows. */
  readonly mountpoint: string;
  /** When the configuration has it switched. */
  readonly switch: 'live' | 'boot';
  /** Version of the systemd that is process 1; undefined for another init. */
  readonly systemd: number | undefined;
  /** The boot entry of what runs; undefined for a system that osupd has not booted, or whose entry is gone. */
  readonly booted: EntryContents | undefined;
  /** The boot entry of the deployment. */
  readonly next: EntryContents;
}

export interface ApplyChoice {
  readonly apply: Apply;
  /** Why, as the end of a sentence. */
  readonly reason: string;
}

/** The first systemd with `systemctl soft-reboot`. */
const SOFT_REBOOT_VERSION = 254;

/** The word that says which deployment is meant; it differs always, and the mounts are made by it. */
const STACK_WORD = /^osupd\.stack=/;

/** The way that interrupts least, of those that bring everything of the deployment into use. */
export function chooseApply(facts: ApplyFacts): ApplyChoice {
  const { mountpoint, systemd, booted, next } = facts;
  if (mountpoint !== '/') {
    return facts.switch === 'live'
      ? { apply: 'live', reason: `${mountpoint} can change under the processes that read it` }
      : reboot('the configuration has switch = "boot" for this stack');
  }
  if (systemd === undefined) return reboot('process 1 is not systemd');
  if (systemd < SOFT_REBOOT_VERSION)
    return reboot(`systemd ${systemd} cannot start its user space again; ${SOFT_REBOOT_VERSION} can`);
  if (booted === undefined) return reboot('what runs was not booted from a deployment');
  if (booted.kernel !== next.kernel) return reboot('the kernel changes');
  if (booted.initrd !== next.initrd) return reboot('the initrd changes');
  const changed = changedWords(booted.options, next.options);
  if (changed.length > 0) return reboot(`kernel arguments change: ${changed.join(' ')}`);
  return { apply: 'soft-reboot', reason: 'kernel, initrd and kernel arguments stay as they are' };
}

function reboot(reason: string): ApplyChoice {
  return { apply: 'reboot', reason };
}

/** Words that come, as `+word`, and that go, as `-word`. Order counts for the kernel: a list in another order comes and goes whole. */
function changedWords(from: readonly string[], to: readonly string[]): string[] {
  const before = from.filter((word) => !STACK_WORD.test(word));
  const after = to.filter((word) => !STACK_WORD.test(word));
  if (before.join(' ') === after.join(' ')) return [];
  const gone = before.filter((word) => !after.includes(word));
  const come = after.filter((word) => !before.includes(word));
  const words = [...gone.map((word) => `-${word}`), ...come.map((word) => `+${word}`)];
  return words.length > 0 ? words : after;
}
