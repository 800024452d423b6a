/** What goes from the boot partition: entries that must not or need not be booted, and kernels that no entry names. */
import { type BootPartition, OWN_DIRECTORY } from './boot-partition.ts';
import { type BootEntry, ENTRIES_DIRECTORY } from './entry.ts';
import { writeGrubMenu } from './grub.ts';

/** Which deployments of a stack have a place in the boot menu. */
export interface KeptEntries {
  readonly stack: string;
  /** Deployments that exist. */
  readonly existing: ReadonlySet<string>;
  /** The booted, the current and the rollback deployment, and the one that is to be tried: never taken away. */
  readonly needed: ReadonlySet<string>;
  /** Deployments that keep their place unless space is short: pinned ones. */
  readonly wanted: ReadonlySet<string>;
}

/**
 * Entries that go in any case: of deployments that do not exist any more; of those that were to be tried and are not any more; and all
 * but the first of one deployment.
 */
export function deadEntries(entries: readonly BootEntry[], kept: KeptEntries): BootEntry[] {
  const seen = new Set<string>();
  return entries.filter(({ stack, id, left }) => {
    if (stack !== kept.stack) return false;
    if (seen.has(id) || !kept.existing.has(id)) return true;
    seen.add(id);
    return left !== undefined && !kept.needed.has(id);
  });
}

/** Entries that may go when space is short, the one that is missed least first. */
export function spareEntries(entries: readonly BootEntry[], kept: KeptEntries): BootEntry[] {
  const spare = entries.filter(({ stack, id }) => stack === kept.stack && !kept.needed.has(id));
  return spare.reverse().sort((a, b) => Number(kept.wanted.has(a.id)) - Number(kept.wanted.has(b.id)));
}

/** Directories of kernels that no entry names, with their bytes: unfinished, or left by entries that went. */
export function unnamedFiles(
  boot: BootPartition,
  entries: readonly BootEntry[],
): readonly { readonly directory: string; readonly bytes: number }[] {
  const named = new Set(
    entries.flatMap(({ contents: { kernel, initrd } }) => [kernel, initrd ?? '']).map((path) => path.split('/')[2]),
  );
  return boot
    .list(OWN_DIRECTORY)
    .filter((name) => /^[0-9a-f]{64}$/i.test(name) && !named.has(name.toLowerCase()))
    .map((name) => {
      const directory = `${OWN_DIRECTORY}/${name}`;
      const files = boot.list(directory).map((file) => boot.sizeOf(`${directory}/${file}`) ?? 0);
      return { directory, bytes: files.reduce((sum, size) => sum + size, 0) };
    });
}

/**
 * Takes entries away, then every kernel that no other entry names; each step is durable before the next, so that no entry ever names a
 * file that is not there.
 * @param grub also in GRUB's menu, before the files go.
 */
export function removeEntries(boot: BootPartition, gone: readonly BootEntry[], grub: boolean): void {
  // The last in the order first: what is left is always a menu that was good before.
  for (const { file } of [...gone].reverse()) boot.remove(`${ENTRIES_DIRECTORY}/${file}`);
  const entries = boot.entries();
  if (grub) writeGrubMenu(boot, entries);
  for (const { directory } of unnamedFiles(boot, entries)) boot.removeUnnamed(directory);
}
