/**
 * Initramfs images made by the real tools, dracut and initramfs-tools, with osupd's hooks in them. The tools see hooks, scripts and the
 * kernel of the test's machines where a system would have them, in a mount namespace of their own. Needs root.
 */
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { machineKit } from './virtual-machine-kit.ts';

const SYSTEMD = resolve(import.meta.dirname, '../../systemd');

/** As docs/initramfs.md says that an image build installs them. */
const INSTALL = `set -e
base=$(mktemp -d); mount -t tmpfs tmpfs "$base"
upper=$base/upper; mkdir -p "$upper/osupd" "$upper/modules/$VERSION" "$upper/dracut/modules.d" "$base/work"
cp "$SYSTEMD/stack.sh" "$SYSTEMD/initramfs/osupd-boot" "$SYSTEMD/initramfs/osupd-handover" "$SYSTEMD/initramfs/osupd-failure" "$upper/osupd"
cp -r "$SYSTEMD/initramfs/dracut/90osupd" "$upper/dracut/modules.d"
mount -t overlay -o "lowerdir=/usr/lib,upperdir=$upper,workdir=$base/work" overlay /usr/lib
mount -o bind "$TREE/lib/modules/$VERSION" "/usr/lib/modules/$VERSION"
mount -o bind "$TREE/boot" /boot
cp -r /etc/initramfs-tools "$base/etc" && cp -r "$SYSTEMD/initramfs/initramfs-tools/." "$base/etc"
# Only what the test's machines need beside what the hook asks for: the kernel's modules take most of the time.
sed -i 's/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=gzip/' "$base/etc/initramfs.conf"
echo virtio_blk >>"$base/etc/modules"
trap 'cd /; umount /boot "/usr/lib/modules/$VERSION"; umount -l /usr/lib; umount -l "$base"; rmdir "$base"' EXIT
`;

const DRACUT =
  'dracut -q --no-hostonly --no-hostonly-cmdline --no-early-microcode --force --kver "$VERSION" --drivers virtio_blk';
const TOOLS = {
  'initramfs-tools': 'mkinitramfs -d "$base/etc" -o "$OUTPUT" "$VERSION"',
  dracut: `${DRACUT} -m "base rootfs-block udev-rules fs-lib kernel-modules osupd" "$OUTPUT" "$VERSION"`,
  'dracut with systemd': `${DRACUT} -m "base rootfs-block udev-rules fs-lib kernel-modules systemd systemd-initrd dracut-systemd osupd" "$OUTPUT" "$VERSION"`,
};

export type InitramfsTool = keyof typeof TOOLS;

/** Makes the image `output`. */
export function buildInitramfs(tool: InitramfsTool, output: string): void {
  const { tree, version } = machineKit();
  const environment = { TREE: tree, VERSION: version, OUTPUT: output, SYSTEMD };
  execFileSync('unshare', ['-m', 'sh', '-c', INSTALL + TOOLS[tool]], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}
