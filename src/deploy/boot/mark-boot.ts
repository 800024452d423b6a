/**
 * What becomes of a deployment that was tried: good, bad, or it did not come up. Each step is durable before the next one, and each
 * function, run again after a cut, does the rest.
 *
 * The caller holds the device's lock.
 */
import { countOf } from '../../core/count.ts';
import { OsupdError } from '../../core/errors.ts';
import { readDeployment } from '../deployment.ts';
import { type FailedDeployment, forgetFailed, recordFailed } from '../failed.ts';
import { makeCurrent, recoverLinks, removeLink } from '../links.ts';
import type { BootedDeployment } from './booted.ts';
import { type BootEntry, ENTRIES_DIRECTORY, entryFile, formatEntry } from './entry.ts';
import { writeGrubMenu } from './grub.ts';
import { deadEntries, removeEntries } from './prune.ts';
import { attemptsLeft, type BootSession, keptEntries, usesGrub } from './session.ts';
import { type BootSwitchOptions, bootDeployment } from './switch-boot.ts';

export interface MarkedGood {
  readonly stack: string;
  readonly id: string;
  /** False when it was marked already. */
  readonly changed: boolean;
  /** What did not come up before, found out now. */
  readonly failed: readonly FailedDeployment[];
}

export interface MarkedBad {
  readonly failed: FailedDeployment;
  /** ID of the deployment that the machine boots next. */
  readonly to: string;
}

/**
 * Finds deployments that were to be tried, but have no attempt left and are not what runs: they have failed. That is written down, they
 * are not next any more, and their entries go.
 */
export async function settleBoot(session: BootSession): Promise<FailedDeployment[]> {
  const { device, boot, booted, now } = session;
  const found: FailedDeployment[] = [];
  for (const stack of new Set(boot.entries().map((entry) => entry.stack))) {
    const { next } = recoverLinks(device, stack);
    const entries = boot.entries(stack).filter(({ id }) => id === next);
    const isSpent = entries.length > 0 && entries.every((entry) => attemptsLeft(session, entry) === 0);
    if (next === undefined || !isSpent || (booted?.stack === stack && booted.id === next)) continue;
    const made = entries.find(({ done }) => done !== undefined)?.done;
    const why = made === undefined ? 'it did not come up' : `it did not come up in ${countOf(made, 'attempt')}`;
    found.push(await recordFailed(device, readDeployment(device, stack, next), why, now));
    removeLink(device, 'next', stack);
    removeEntries(boot, entries, usesGrub(session));
  }
  return found;
}

/**
 * Marks what runs as good: the boot loader counts its attempts no more, and it is the current deployment.
 * @throws OsupdError `not-found` when the machine was not booted by osupd, or the deployment is gone.
 */
export async function markGood(session: BootSession): Promise<MarkedGood> {
  const { device, boot } = session;
  const { stack, id } = requireBooted(session);
  const failed = await settleBoot(session);
  const { images } = readDeployment(device, stack, id);
  const counted = boot.entries(stack).filter((entry) => entry.id === id && entry.left !== undefined);
  const [first] = counted;
  if (first !== undefined) stopCounting(session, first, counted);
  // Also where a cut came between entry and menu: GRUB would count on.
  if (usesGrub(session)) writeGrubMenu(boot, boot.entries());
  const isCurrent = recoverLinks(device, stack).current === id;
  await makeCurrent(device, stack, id, () => {});
  forgetFailed(device, stack, { images });
  const gone = deadEntries(boot.entries(), keptEntries(session, stack));
  if (gone.length > 0) removeEntries(boot, gone, usesGrub(session));
  return { stack, id, changed: first !== undefined || !isCurrent, failed };
}

/**
 * Marks what runs as bad: it is not booted again, and not pulled again. The machine boots the current deployment when another one was
 * tried, else the rollback; it does so when it starts.
 * @throws OsupdError `not-found` when the machine was not booted by osupd, or there is nothing to go back to.
 */
export async function markBad(session: BootSession, why: string, options: BootSwitchOptions): Promise<MarkedBad> {
  const { device, boot, now } = session;
  const { stack, id } = requireBooted(session);
  await settleBoot(session);
  const { current, next, rollback } = recoverLinks(device, stack);
  const to = current === id ? rollback : current;
  if (to === undefined) {
    throw new OsupdError('not-found', 'there is no other deployment to boot', {
      where: `${stack}/${id}`,
      remedy: 'osupd status lists what there is; osupd rollback --to ID takes any of it',
    });
  }
  const deployment = readDeployment(device, stack, id);
  const others = boot.entries(stack).filter((entry) => entry.id !== id);
  // Something to boot first, then away with what is bad.
  if (others[0]?.id !== to || others[0].left !== undefined)
    await bootDeployment(session, stack, to, { ...options, tries: undefined, etc: 'keep' });
  const failed = await recordFailed(device, deployment, why, now);
  if (next === id) removeLink(device, 'next', stack);
  await makeCurrent(device, stack, to, () => {});
  if (recoverLinks(device, stack).rollback === id) removeLink(device, 'rollback', stack);
  removeEntries(
    boot,
    boot.entries(stack).filter((entry) => entry.id === id),
    usesGrub(session),
  );
  return { failed, to };
}

function requireBooted({ booted }: BootSession): BootedDeployment {
  if (booted !== undefined) return booted;
  throw new OsupdError('not-found', 'this system was not booted from a deployment', {
    where: '/proc/cmdline',
    remedy: 'only a system that osupd has booted can be marked',
  });
}

/**
 * The same entry without a counter in its name. A rename on FAT could lose both names in a power cut: the new file is there before the
 * old one goes.
 */
function stopCounting(session: BootSession, entry: BootEntry, counted: readonly BootEntry[]): void {
  const { boot } = session;
  const { stack, generation, id, contents } = entry;
  const name = { stack, generation, id };
  const path = `${ENTRIES_DIRECTORY}/${entryFile(name)}`;
  if ((boot.sizeOf(path) ?? 0) === 0) boot.writeText(path, formatEntry(name, contents));
  for (const { file } of counted) boot.remove(`${ENTRIES_DIRECTORY}/${file}`);
}
