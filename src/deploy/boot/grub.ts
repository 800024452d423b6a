/**
 * A menu for GRUB before 2.14, which does not read Boot Loader Specification entries: the same entries as a script.
 *
 *     osupd/grub.cfg      what the GRUB of the system sources; written once, never changed
 *     osupd/menu-0.cfg    or menu-1.cfg: the menu. A new one is written whole under the name that is free, then the old one goes;
 *                         whichever GRUB finds boots a deployment that is there
 *     osupd/grubenv       a GRUB environment block of 1024 bytes, in which GRUB itself counts the attempts; osupd only reads it
 *
 * GRUB cannot rename files, so it counts in the environment block: `osupd_generation` says of which entry, `osupd_left` how many are left.
 */
import { type BootPartition, OWN_DIRECTORY } from './boot-partition.ts';
import { type BootEntry, entryFile, MAX_TRIES } from './entry.ts';

const LOADER_FILE = `${OWN_DIRECTORY}/grub.cfg`;
const ENVIRONMENT_FILE = `${OWN_DIRECTORY}/grubenv`;
const MENU_FILES = [`${OWN_DIRECTORY}/menu-0.cfg`, `${OWN_DIRECTORY}/menu-1.cfg`] as const;

const LOADER = `# Written by osupd, once; docs/boot.md explains it.
if [ ! -s ($root)/${LOADER_FILE} ]; then search --no-floppy --file --set=root /${LOADER_FILE}; fi
set osupd_root=$root
export osupd_root
if [ -z "$timeout" ]; then set timeout=3; fi
if [ -s ($osupd_root)/${ENVIRONMENT_FILE} ]; then
  load_env --file ($osupd_root)/${ENVIRONMENT_FILE} osupd_generation osupd_left
fi
if [ -s ($osupd_root)/${MENU_FILES[0]} ]; then
  source ($osupd_root)/${MENU_FILES[0]}
else
  source ($osupd_root)/${MENU_FILES[1]}
fi
`;

const ENVIRONMENT_BYTES = 1024;
const ENVIRONMENT_HEADER = '# GRUB Environment Block\n';

/**
 * Makes GRUB's menu say the same as the entries, where it does not yet.
 * @param entries all of the partition, in their order.
 */
export function writeGrubMenu(boot: BootPartition, entries: readonly BootEntry[]): void {
  if (!isThere(boot, LOADER_FILE)) boot.writeText(LOADER_FILE, LOADER);
  if (!isThere(boot, ENVIRONMENT_FILE))
    boot.writeText(ENVIRONMENT_FILE, ENVIRONMENT_HEADER.padEnd(ENVIRONMENT_BYTES, '#'));
  const text = grubMenu(entries);
  const [first, second] = MENU_FILES;
  // Both are there after a cut: GRUB reads the first.
  if (isThere(boot, first)) boot.remove(second);
  const shown = isThere(boot, first) ? first : second;
  if (boot.readText(shown) === text) return;
  const free = shown === first ? second : first;
  boot.remove(free);
  boot.writeText(free, text);
  boot.remove(shown);
}

/**
 * Attempts that GRUB has left for an entry that is counted; undefined when GRUB has not started it yet.
 */
export function grubAttemptsLeft(boot: BootPartition, generation: number): number | undefined {
  const text = boot.readText(ENVIRONMENT_FILE) ?? '';
  const value = (name: string) => new RegExp(`^${name}=(\\d{1,9})$`, 'm').exec(text)?.[1];
  return value('osupd_generation') === `${generation}` && value('osupd_left') !== undefined
    ? Number(value('osupd_left'))
    : undefined;
}

/** The script of a menu. */
export function grubMenu(entries: readonly BootEntry[]): string {
  const counted = entries.find(({ left }) => left !== undefined && left > 0);
  const fallback = entries.find((entry) => entry !== counted && entry.left === undefined);
  const lines = ['# Written by osupd; docs/boot.md explains it.', `set default=${quote(idOf(entries[0]))}`];
  if (counted !== undefined) {
    const { generation, left } = counted;
    lines.push(
      `if [ "$osupd_generation" != ${generation} ]; then`,
      `  set osupd_generation=${generation}`,
      `  set osupd_left=${left}`,
      'fi',
    );
    if (fallback !== undefined) lines.push(`if [ "$osupd_left" = 0 ]; then set default=${quote(idOf(fallback))}; fi`);
  }
  for (const entry of entries) lines.push(...menuEntry(entry, entry === counted));
  return `${lines.join('\n')}\n`;
}

function menuEntry(entry: BootEntry, counted: boolean): string[] {
  const { title, kernel, unified, initrd, options } = entry.contents;
  const at = (path: string) => `($osupd_root)${path}`;
  const words = options.map(quote).join(' ');
  return [
    `menuentry ${quote(title)} --id ${quote(idOf(entry))} {`,
    ...(counted ? countDown() : []),
    `  ${unified ? 'chainloader' : 'linux'} ${at(kernel)} ${words}`,
    ...(initrd === undefined ? [] : [`  initrd ${at(initrd)}`]),
    '}',
  ];
}

/** GRUB has no arithmetic. */
function countDown(): string[] {
  const steps = Array.from({ length: MAX_TRIES }, (_, at) => at + 1);
  return [
    ...steps.map(
      (left, at) => `  ${at === 0 ? 'if' : 'elif'} [ "$osupd_left" = ${left} ]; then set osupd_left=${left - 1}`,
    ),
    '  fi',
    `  save_env --file ($osupd_root)/${ENVIRONMENT_FILE} osupd_generation osupd_left`,
  ];
}

/** A name that does not change while attempts are counted. */
function idOf(entry: BootEntry | undefined): string {
  if (entry === undefined) return '';
  const { stack, generation, id } = entry;
  return entryFile({ stack, generation, id }).replace(/\.conf$/, '');
}

/** Single quotes keep everything but themselves. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** An empty file is what a power cut has left; GRUB's test -s leaves it out, too. */
function isThere(boot: BootPartition, path: string): boolean {
  return (boot.sizeOf(path) ?? 0) > 0;
}
