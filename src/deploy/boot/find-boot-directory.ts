/** Where the boot partition is mounted. */
import { readdirSync } from 'node:fs';
import { fromText } from '../../core/bytes.ts';
import { isSystemError, OsupdError, toOsupdError } from '../../core/errors.ts';
import { type MountEntry, readMounts } from '../../sys/mountinfo.ts';

/** Mountpoints of the ESP or XBOOTLDR partition, as systemd and distributions have them. */
const PLACES: readonly string[] = ['/efi', '/boot/efi', '/boot'];
const TYPES: readonly string[] = ['vfat', 'msdos'];

/** What every boot partition has: one of these; an empty mountpoint has none. */
const SIGNS = /^(loader|efi|grub|osupd)$/i;

/**
 * The directory of the configuration, else the first of `/efi`, `/boot/efi` and `/boot` where a FAT is mounted.
 * @param mounts what is mounted, to read it once for several questions.
 * @throws OsupdError `not-found` when there is none; `usage` when the configured one has nothing of a boot partition in it: files
 *   that are written to a mountpoint while nothing is mounted there are lost.
 */
export function findBootDirectory(
  { boot: { directory } }: { readonly boot: { readonly directory?: string } },
  mounts?: readonly MountEntry[],
): string {
  if (directory !== undefined) {
    if (namesIn(directory).some((name) => SIGNS.test(name))) return directory;
    throw new OsupdError('usage', 'this is not a boot partition: it has neither a directory "loader" nor "EFI"', {
      where: directory,
      remedy: 'mount the boot partition there, or set another directory under [boot]',
    });
  }
  // A look into it makes an automount happen.
  for (const place of PLACES) namesIn(place);
  const mounted = mounts ?? readMounts();
  const found = PLACES.find((place) =>
    mounted.some(({ mountpoint, type }) => mountpoint === fromText(place) && TYPES.includes(type)),
  );
  if (found !== undefined) return found;
  throw new OsupdError('not-found', 'no boot partition is mounted', {
    where: PLACES.join(', '),
    remedy: 'mount the EFI system partition at one of these, or set directory under [boot]',
  });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) return [];
    throw toOsupdError(error, directory);
  }
}
