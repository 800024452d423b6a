/** systemd-boot, from the image to the EFI system partition. */
import { OsupdError } from '../core/errors.ts';
import { type BootFile, fileAt } from '../deploy/boot/boot-files.ts';
import type { BootPartition } from '../deploy/boot/boot-partition.ts';
import type { Pool } from '../objects/pool.ts';
import type { Tree } from '../tree/tree.ts';

/** Names of UEFI for architectures as `uname -m` says them. */
const EFI_NAMES: Readonly<Record<string, string>> = { x86_64: 'x64', aarch64: 'aa64', riscv64: 'riscv64' };
const DIRECTORY = 'usr/lib/systemd/boot/efi';

/** Nobody sits in front of most devices; those who do can press a key. `editor no`: who may start a machine is not yet its root. */
const LOADER_CONFIGURATION = 'timeout 3\nconsole-mode keep\neditor no\n';
/** Which kind of entries is on the partition (Boot Loader Specification). */
const ENTRIES_KIND = 'type1\n';

/**
 * Finds the boot loader in an image: signed for Secure Boot where there is such a one.
 * @param architecture as `uname -m` says it.
 * @throws OsupdError `not-found` when the image has none.
 */
export function findBootLoader(tree: Tree, architecture: string): BootFile {
  const path = `${DIRECTORY}/systemd-boot${efiName(architecture)}.efi`;
  const file = fileAt(tree, `${path}.signed`) ?? fileAt(tree, path);
  if (file !== undefined) return file;
  throw new OsupdError('not-found', 'the image has no systemd-boot', {
    where: `/${path}`,
    remedy: 'install it in the tree (Debian: package systemd-boot-efi) and build the image again',
  });
}

/** Puts the boot loader where firmware looks for one that nobody has registered (UEFI 2.10, section 3.5.1.1), and its settings. */
export async function writeBootLoader(
  boot: BootPartition,
  loader: BootFile,
  architecture: string,
  pool: Pool,
): Promise<void> {
  const name = efiName(architecture);
  for (const path of [`EFI/systemd/systemd-boot${name}.efi`, `EFI/BOOT/BOOT${name.toUpperCase()}.EFI`]) {
    await using object = await pool.openObject(loader.digest);
    await boot.writeUnnamed(path, object);
  }
  boot.writeText('loader/entries.srel', ENTRIES_KIND);
  boot.writeText('loader/loader.conf', LOADER_CONFIGURATION);
}

function efiName(architecture: string): string {
  const name = EFI_NAMES[architecture];
  if (name !== undefined) return name;
  throw new OsupdError('unsupported', `osupd knows no boot loader for the architecture ${architecture}`);
}
