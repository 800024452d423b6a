/**
 * Entries of a boot menu: files `loader/entries/*.conf` of the Boot Loader Specification, type 1
 * (https://uapi-group.org/specifications/specs/boot_loader_specification/), with the boot counter in the name
 * (https://systemd.io/AUTOMATIC_BOOT_ASSESSMENT/). systemd-boot, and GRUB with blscfg, read them.
 */
import { OsupdError } from '../../core/errors.ts';
import { isDeploymentId } from '../deployment-files.ts';
import { isStackName } from '../stack-name.ts';

/** What the name of an entry says: `osupd-STACK-GENERATION-ID[+LEFT[-DONE]].conf`. */
export interface EntryName {
  readonly stack: string;
  /** A number that grows with each switch and rollback of the stack: the greatest is booted. */
  readonly generation: number;
  /** The deployment's ID. */
  readonly id: string;
  /** Attempts that are left; undefined for an entry that is not counted, because it was good. */
  readonly left?: number;
  /** Attempts that were made, since the boot loader writes that. */
  readonly done?: number;
}

/** What a boot loader is told; paths are absolute on the boot partition. */
export interface EntryContents {
  readonly title: string;
  readonly kernel: string;
  /** True where `kernel` is a unified kernel image, an EFI program. */
  readonly unified: boolean;
  readonly initrd?: string;
  /** Words of the kernel's command line. */
  readonly options: readonly string[];
}

export interface BootEntry extends EntryName {
  readonly file: string;
  readonly contents: EntryContents;
}

/** Where boot loaders look for entries, on the boot partition. */
export const ENTRIES_DIRECTORY = 'loader/entries';

/** The largest count of attempts: systemd-boot keeps the number of digits, and a human reads it. */
export const MAX_TRIES = 9;

const NAME = /^osupd-(.+)-([1-9]\d{0,8})-(\d+-[0-9a-f]{12})(?:\+(\d{1,9})(?:-(\d{1,9}))?)?\.conf$/;

/** Undefined for a file that is not an entry of osupd. FAT and firmware may change the case. */
export function parseEntryName(file: string): EntryName | undefined {
  const [, stack = '', generation, id = '', left, done] = NAME.exec(file.toLowerCase()) ?? [];
  if (!isStackName(stack) || !isDeploymentId(id)) return undefined;
  return {
    stack,
    generation: Number(generation),
    id,
    ...(left === undefined ? {} : { left: Number(left) }),
    ...(done === undefined ? {} : { done: Number(done) }),
  };
}

export function entryFile({ stack, generation, id, left, done }: EntryName): string {
  const counter = left === undefined ? '' : `+${left}${done === undefined ? '' : `-${done}`}`;
  return `osupd-${stack}-${generation}-${id}${counter}.conf`;
}

/** The text of an entry. @throws OsupdError `usage` for what a line of it cannot hold. */
export function formatEntry({ stack, generation }: EntryName, contents: EntryContents): string {
  const { title, kernel, unified, initrd, options } = contents;
  const lines = [
    ['title', title],
    ['sort-key', `osupd-${stack}`],
    ['version', `${generation}`],
    [unified ? 'efi' : 'linux', kernel],
    ...(initrd === undefined ? [] : [['initrd', initrd]]),
    ['options', options.join(' ')],
  ];
  for (const [key = '', value = ''] of lines) {
    if (!/\p{Cc}/u.test(value)) continue;
    throw new OsupdError('usage', `a boot entry cannot hold this ${key}`, { where: JSON.stringify(value) });
  }
  return `${lines.map((line) => line.join(' ')).join('\n')}\n`;
}

/** Reads an entry; undefined for one that a boot loader leaves out, because it names no program to start. */
export function parseEntry(text: string): EntryContents | undefined {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, key, value] = /^\s*([a-z-]+)\s+(.*?)\s*$/.exec(line) ?? [];
    if (key === undefined || value === undefined) continue;
    const before = fields.get(key);
    fields.set(key, before !== undefined && key === 'options' ? `${before} ${value}` : value);
  }
  const linux = fields.get('linux');
  const kernel = linux ?? fields.get('efi');
  if (kernel === undefined) return undefined;
  const initrd = fields.get('initrd');
  return {
    title: fields.get('title') ?? '',
    kernel,
    unified: linux === undefined,
    ...(initrd === undefined ? {} : { initrd }),
    options: (fields.get('options') ?? '').split(/\s+/).filter(Boolean),
  };
}

/**
 * The order in which boot loaders take osupd's entries, as the specification has it: those without an attempt left last; then by
 * stack, and the greatest generation first; of one generation first the one that is not counted, then the one with most attempts.
 */
export function compareEntries(a: EntryName, b: EntryName): number {
  const spent = Number(a.left === 0) - Number(b.left === 0);
  if (spent !== 0) return spent;
  if (a.stack !== b.stack) return a.stack < b.stack ? -1 : 1;
  const newer = b.generation - a.generation;
  if (newer !== 0) return newer;
  return (b.left ?? Number.POSITIVE_INFINITY) - (a.left ?? Number.POSITIVE_INFINITY) || 0;
}
