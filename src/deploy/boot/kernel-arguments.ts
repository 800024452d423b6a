/** The kernel's command line of a deployment: what osupd says, what the release says, what the device says. */
import { OsupdError } from '../../core/errors.ts';
import { sha256Of } from '../../core/sha256.ts';
import { type Deployment, formatStack } from '../deployment-files.ts';
import { bootedWord } from './booted.ts';

/** Words of a kernel command line, in their order. */
export type BootArguments = readonly string[];

/** What a device's configuration says of its boot entries, table `[boot]`; what is left out has the initramfs's default. */
export interface BootConfiguration {
  /** Where the boot partition is mounted; undefined: found. */
  readonly directory?: string;
  /** Which boot loader reads the partition; for GRUB a menu of its own is written beside the entries. */
  readonly loader: 'systemd-boot' | 'grub';
  /** Kernel arguments of this device; `-key` takes one of the release away. */
  readonly arguments: readonly string[];
  /** Attempts that a new deployment gets; then the boot loader falls back. */
  readonly tries: number;
  readonly verity?: 'require' | 'try' | 'off';
  /** What the initramfs does when it cannot boot: `reboot:SECONDS`, `halt` or `shell`. */
  readonly failure?: string;
  /** Directories of the state file system that are writable in the system, besides /var. */
  readonly writable?: readonly string[];
}

/** The device root as the initramfs finds it when nothing else is said. */
const DEFAULT_ROOT = '/var/lib/osupd';
const SYSROOT = '/sysroot';

/** Words that decide what is mounted are osupd's own. */
const RESERVED = /^osupd\./;

/**
 * All kernel arguments of a deployment: `osupd.*` first, then those of the release, then those of the configuration, which
 * replace the release's of the same key, and with `-key` take them away.
 *
 * @param options `root`: the device root as the state file system has it; `etc`: the stack's policy.
 * @throws OsupdError `usage` when nothing says `root=`, by which the initramfs finds the state file system; and for an argument that
 *   is not one printable word.
 */
export function bootArguments(
  deployment: Deployment,
  boot: BootConfiguration,
  options: { readonly root: string; readonly etc?: 'merge' | 'keep' | 'volatile' },
): BootArguments {
  const { stack, id, images, arguments: release } = deployment;
  const root = rootInState(options.root);
  const own = [
    bootedWord({ stack, id, stackDigest: sha256Of(formatStack(images)) }),
    ...(root === DEFAULT_ROOT ? [] : [`osupd.root=${root}`]),
    ...(options.etc === 'volatile' ? ['osupd.etc=volatile'] : []),
    ...(boot.writable === undefined ? [] : [`osupd.writable=${boot.writable.join(':')}`]),
    ...(boot.verity === undefined ? [] : [`osupd.verity=${boot.verity}`]),
    ...(boot.failure === undefined ? [] : [`osupd.failure=${boot.failure}`]),
  ];
  const replaced = new Set(boot.arguments.map((word) => keyOf(word.replace(/^-/, ''))));
  const words = [
    ...own,
    ...release.filter((word) => !replaced.has(keyOf(word)) && !RESERVED.test(word)),
    ...boot.arguments.filter((word) => !word.startsWith('-')),
  ];
  for (const word of words) checkWord(word, `${stack}/${id}`);
  if (words.some((word) => word.startsWith('root='))) return words;
  throw new OsupdError('usage', 'no kernel argument says where the state file system is', {
    where: 'boot.arguments',
    remedy: 'set arguments = ["root=UUID=…", "rw"] under [boot], with the UUID that blkid shows',
  });
}

/** True for a kernel argument that a configuration may have: one printable word that is not osupd's own. */
export function isKernelArgument(word: string): boolean {
  return /^[!-~]+$/.test(word) && !RESERVED.test(word.replace(/^-/, ''));
}

function checkWord(word: string, where: string): void {
  if (/^[!-~]+$/.test(word)) return;
  throw new OsupdError('usage', `a kernel argument is not one printable word: ${JSON.stringify(word)}`, { where });
}

function keyOf(word: string): string {
  return word.split('=', 1)[0] ?? '';
}

/** While the system runs, /sysroot shows the whole state file system. */
function rootInState(directory: string): string {
  return directory.startsWith(`${SYSROOT}/`) ? directory.slice(SYSROOT.length) : directory;
}
