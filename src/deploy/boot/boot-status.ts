/** What the boot menu says of a stack. Reads only. */
import { attemptsLeft, type BootSession, bootedId } from './session.ts';

export interface StackBoot {
  /** ID of the deployment that is booted; null for a system that osupd has not booted. */
  readonly booted: string | null;
  /** ID of the deployment that the machine boots when it starts; null where the menu has none of this stack. */
  readonly nextStart: string | null;
  /** In the order in which the boot loader takes them. */
  readonly entries: readonly {
    readonly id: string;
    readonly file: string;
    readonly generation: number;
    /** Null for one that is not counted. */
    readonly attemptsLeft: number | null;
  }[];
}

export function stackBoot(session: BootSession, stack: string): StackBoot {
  const entries = session.boot.entries(stack).map((entry) => ({
    id: entry.id,
    file: entry.file,
    generation: entry.generation,
    attemptsLeft: attemptsLeft(session, entry) ?? null,
  }));
  const [first = null] = entries.filter((entry) => entry.attemptsLeft !== 0);
  return { booted: bootedId(session, stack) ?? null, nextStart: (first ?? entries[0])?.id ?? null, entries };
}
