/** What an installed system needs so that it can become a deployment. Everything that is missing is told at once. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fromText, toText } from '../core/bytes.ts';
import { isSystemError, OsupdError } from '../core/errors.ts';
import { freeSpace } from '../sys/files.ts';
import { readMounts } from '../sys/mountinfo.ts';

/** Something that is missing, and what to do about it. */
export interface Missing {
  readonly what: string;
  readonly where: string;
  readonly remedy: string;
}

/** The system as it is installed. */
export interface InstalledSystem {
  /** Absolute path of its root directory. */
  readonly directory: string;
  /** Bytes of the files that become objects, and their number. */
  readonly content: { readonly bytes: number; readonly count: number };
  /** Where its EFI system partition is mounted; undefined: not found. */
  readonly boot: string | undefined;
}

const STATE_TYPES: readonly string[] = ['ext4', 'xfs', 'btrfs'];
/** File systems whose files can share blocks: objects then take no space of their own. */
const SHARING_TYPES: readonly string[] = ['xfs', 'btrfs'];
/** For an overlay with data-only layers and fs-verity. */
const OLDEST_KERNEL = [6, 6] as const;
const KERNEL_OPTIONS = ['CONFIG_EROFS_FS', 'CONFIG_OVERLAY_FS'];
/** One of these puts osupd into the initramfs: initramfs-tools, the same by the administrator, dracut. */
const HOOKS = [
  'usr/share/initramfs-tools/hooks/osupd',
  'etc/initramfs-tools/hooks/osupd',
  'usr/lib/dracut/modules.d/90osupd/module-setup.sh',
];
/** What the initramfs has of osupd. */
const SCRIPT = 'usr/lib/osupd/osupd-boot';
/** State that may not be a file system of its own: the initramfs mounts it from the root's. */
const STATE_DIRECTORIES = ['/var', '/var/lib', '/var/lib/osupd'];
const FILE_OVERHEAD = 4096;
const WORKING_BYTES = 64 << 20;

/** Empty when nothing is missing. */
export function missingForAdoption(system: InstalledSystem): Missing[] {
  return [...stateProblems(system), ...kernelProblems(system), ...bootProblems(system)];
}

/** @throws OsupdError `unsupported` that names everything. */
export function refuseMissing(missing: readonly Missing[], directory: string): void {
  if (missing.length === 0) return;
  const list = missing.map(({ what, where }) => `${what} (${where})`).join('; ');
  throw new OsupdError('unsupported', `this system cannot be adopted as it is: ${list}`, {
    where: directory,
    remedy: missing.map(({ remedy }) => remedy).join('; '),
    facts: { missing },
  });
}

function stateProblems({ directory, content }: InstalledSystem): Missing[] {
  const missing: Missing[] = [];
  const mounts = readMounts();
  const root = mounts.findLast(({ mountpoint }) => mountpoint === fromText(directory));
  if (root === undefined || !STATE_TYPES.includes(root.type)) {
    missing.push({
      what: root === undefined ? 'this is not the root of a file system' : `the root file system is ${root.type}`,
      where: directory,
      remedy: `the root must be ${STATE_TYPES.join(', ')}; osupd install makes a new disk`,
    });
  }
  for (const path of STATE_DIRECTORIES) {
    const place = join(directory, path);
    if (!mounts.some(({ mountpoint }) => mountpoint === fromText(place))) continue;
    missing.push({ what: 'a file system of its own', where: place, remedy: `move ${path} to the root file system` });
  }
  const shares = SHARING_TYPES.includes(root?.type ?? '');
  const needed = WORKING_BYTES + (shares ? 0 : content.bytes) + content.count * FILE_OVERHEAD;
  const lacking = needed - freeSpace(directory).bytes;
  if (lacking > 0) {
    missing.push({
      what: `${lacking} bytes of space, ${needed} are needed`,
      where: directory,
      remedy: 'free space, for example with apt-get clean',
    });
  }
  return missing;
}

/** The kernels of a system, the newest first: their versions. */
function installedKernels(directory: string): string[] {
  const names = [
    ...namesIn(join(directory, 'boot')).flatMap((name) => /^vmlinuz-(.+)$/.exec(name)?.[1] ?? []),
    ...namesIn(join(directory, 'usr/lib/modules')).filter((version) =>
      existsSync(join(directory, 'usr/lib/modules', version, 'vmlinuz')),
    ),
  ];
  return [...new Set(names)].sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
}

function kernelProblems({ directory }: InstalledSystem): Missing[] {
  const [version] = installedKernels(directory);
  if (version === undefined) {
    return [{ what: 'a kernel', where: join(directory, 'boot'), remedy: 'install one on the root file system' }];
  }
  const missing: Missing[] = [];
  const [major = 0, minor = 0] = version.split('.').map(Number.parseFloat);
  const [oldMajor, oldMinor] = OLDEST_KERNEL;
  if (major < oldMajor || (major === oldMajor && minor < oldMinor)) {
    missing.push({
      what: `a newer kernel than ${version}`,
      where: join(directory, 'boot'),
      remedy: `install Linux ${OLDEST_KERNEL.join('.')} or newer (Debian 12: linux-image-6.12-amd64)`,
    });
  }
  const config = textOf(join(directory, `boot/config-${version}`));
  for (const option of config === undefined ? [] : KERNEL_OPTIONS) {
    if (new RegExp(`^${option}=[ym]$`, 'm').test(config ?? '')) continue;
    missing.push({
      what: `a kernel with ${option}`,
      where: `boot/config-${version}`,
      remedy: 'install another kernel',
    });
  }
  const hook = HOOKS.find((path) => existsSync(join(directory, path)));
  const script = statSync(join(directory, SCRIPT), { throwIfNoEntry: false });
  const initrd = ['boot/initrd.img-', 'boot/initramfs-'].map((start) =>
    statSync(join(directory, `${start}${version}`), { throwIfNoEntry: false }),
  );
  const made = initrd.find((found) => found !== undefined);
  if (hook === undefined || script === undefined) {
    missing.push({
      what: "osupd's hook for the initramfs",
      where: HOOKS.map((path) => `/${path}`).join(' or '),
      remedy: 'install it as docs/initramfs.md says, and run update-initramfs -u',
    });
  } else if (made === undefined || made.mtimeMs < script.mtimeMs || made.ctimeMs < script.ctimeMs) {
    missing.push({
      what: 'an initramfs with osupd in it',
      where: `boot/initrd.img-${version}`,
      remedy: 'run update-initramfs -u',
    });
  }
  return missing;
}

function bootProblems({ directory, boot }: InstalledSystem): Missing[] {
  if (boot === undefined) {
    return [
      {
        what: 'an EFI system partition that is mounted',
        where: ['efi', 'boot/efi', 'boot'].map((path) => join(directory, path)).join(', '),
        remedy: 'mount it; osupd boots by UEFI alone',
      },
    ];
  }
  if (bootLoader(directory, boot) !== undefined) return [];
  return [{ what: 'systemd-boot or GRUB', where: boot, remedy: 'install systemd-boot (bootctl install)' }];
}

/** The boot loader that a system has: the one on the partition, or GRUB with its files on the root. */
export function bootLoader(directory: string, boot: string): 'systemd-boot' | 'grub' | undefined {
  const systemdBoot = namesIn(join(boot, 'EFI/systemd')).some((name) => /^systemd-boot.*\.efi$/i.test(name));
  if (systemdBoot) return 'systemd-boot';
  return existsSync(join(directory, 'boot/grub/grub.cfg')) ? 'grub' : undefined;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory, 'latin1').map(toText).sort();
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) return [];
    throw error;
  }
}

function textOf(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}
