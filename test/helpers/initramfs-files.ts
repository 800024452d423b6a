/** osupd's scripts for the small initramfs of the tests' machines, and what such an initramfs does around them. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const SYSTEMD = resolve(import.meta.dirname, '../../systemd');

/** The scripts by their names in the job's directory. */
export const INITRAMFS_FILES = {
  'osupd-boot': readFileSync(`${SYSTEMD}/initramfs/osupd-boot`),
  'osupd-handover': readFileSync(`${SYSTEMD}/initramfs/osupd-handover`),
  'osupd-failure': readFileSync(`${SYSTEMD}/initramfs/osupd-failure`),
  'stack.sh': readFileSync(`${SYSTEMD}/stack.sh`),
};

/** Mounts the state file system of a disk as the root, has it replaced by the stack, and hands over. */
export function bootScript(disk: string, mode: 'ro' | 'rw' = 'rw'): string {
  return `mkdir /newroot; mount -t ext4 -o ${mode} /dev/${disk} /newroot || exit 9
./osupd-handover /newroot /newroot || exit 8
for directory in dev proc sys run; do mount -o move /$directory /newroot/$directory; done
exec switch_root /newroot /sbin/init`;
}
