#!/bin/bash
# A dracut module: puts into an initramfs what starts a stack. Install it as /usr/lib/dracut/modules.d/90osupd; the scripts
# come from /usr/lib/osupd. Works with and without systemd in the initramfs.

check() {
	require_binaries mount umount sha256sum od head mktemp readlink || return 1
	[[ -r "${dracutsysrootdir-}/usr/lib/osupd/osupd-boot" ]]
}

depends() {
	echo base fs-lib rootfs-block
}

installkernel() {
	hostonly='' instmods loop erofs overlay ext4
}

# The variables are dracut's.
# shellcheck disable=SC2154
install() {
	inst_multiple mount umount sha256sum od head grep mktemp mkdir rmdir readlink cat dd sleep sync reboot halt modprobe
	# Without it the kernel checks objects as they are read, but nobody compares an image with its name.
	inst_multiple -o fsverity
	inst_multiple /usr/lib/osupd/osupd-boot /usr/lib/osupd/osupd-handover /usr/lib/osupd/osupd-failure /usr/lib/osupd/stack.sh
	inst_hook cmdline 20 "$moddir/no-shell.sh"
	inst_hook emergency 01 "$moddir/emergency.sh"
	inst_hook shutdown-emergency 01 "$moddir/emergency.sh"
	if dracut_module_included systemd; then
		inst_simple "$moddir/osupd-boot.service" "$systemdsystemunitdir/osupd-boot.service"
		$SYSTEMCTL -q --root "$initdir" add-requires initrd-root-fs.target osupd-boot.service
	else
		# Before the hook of rootfs-block, which would take the state file system for a root that is incomplete.
		inst_hook mount 90 "$moddir/mount-stack.sh"
	fi
}
