#!/bin/sh
# Mounts the state file system in the way of rootfs-block, with its check, but aside; then the stack as the new root.
# The variables are dracut's.
# shellcheck disable=SC2154
if getarg osupd.stack= >/dev/null && [ "${root#block:}" != "$root" ]; then
	mkdir -p /run/osupd/mounted
	new_root=$NEWROOT
	NEWROOT=/run/osupd/mounted
	# shellcheck source=/dev/null
	. "$hookdir/mount/99-mount-root.sh"
	NEWROOT=$new_root
	/usr/lib/osupd/osupd-handover /run/osupd/mounted "$NEWROOT" ||
		emergency_shell -n osupd "this is the shell that osupd.failure=shell asks for"
fi
