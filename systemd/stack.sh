# shellcheck shell=sh
# What osupd-mount and osupd-boot share: a stack is mounted with mount(8) and the kernel alone. Sourced; both run with
# `set -euf`. Works with util-linux and with busybox. docs/mounts.md says why the mount options are these.

# fail WHAT WHERE WHY: one line on the standard error, and the end.
fail() {
	echo "osupd: $1: $2: $3" >&2
	exit 1
}

# only TEXT SET: is TEXT one or more of these characters? SET is written as between the brackets of a pattern.
only() {
	# shellcheck disable=SC2254 # a set is meant as a pattern
	case $1 in '' | *[!$2]*) return 1 ;; esac
}

# is_digest TEXT: 64 lower-case hexadecimal digits.
is_digest() {
	[ ${#1} -eq 64 ] && only "$1" 0-9a-f
}

# attempt COMMAND...: runs it, and keeps what it says as one line in $said.
attempt() {
	# shellcheck disable=SC2086 # words are joined with single spaces
	if said=$("$@" 2>&1); then return 0; else set -- $said && said=$* && return 1; fi
}

# read_stack FILE: prints the digests of a stack's images, a line each, the topmost first. The text of FILE comes on the
# standard input; FILE names it in messages.
read_stack() {
	{ read -r magic version && [ "$magic $version" = "osupd-stack 1" ]; } || fail "the stack file" "$1" "not a stack file of version 1"
	count=0
	while read -r kind digest _; do
		[ "$kind" = image ] || continue
		is_digest "$digest" || fail "the stack file" "$1" "names an image by something that is no digest"
		count=$((count + 1))
		[ "$count" -le 64 ] || fail "the stack file" "$1" "names more than 64 images"
		echo "$digest"
	done
	[ "$count" -gt 0 ] || fail "the stack file" "$1" "names no image"
}

# mount_stack IMAGES SOURCE MOUNTPOINT [VERITY]: mounts the images, in the device root that is the working directory.
# Relative names keep the option string short, whatever the root is called: the kernel takes one page.
mount_stack() {
	layers=$(mktemp -d /run/osupd-layers.XXXXXX)
	layer=0
	# 0 is EXIT, which the shell of klibc does not know by its name.
	trap leave_layers 0
	lower=
	for digest in $1; do
		# Without ACLs in the image (bit 0 of the composefs header's flags) the kernel need not look for them.
		flags=$(od -An -tu1 -j8 -N1 "images/$digest" 2>/dev/null) || fail "an image" "$PWD/images/$digest" "cannot be read"
		acl=acl
		[ $((flags % 2)) -eq 1 ] || acl=noacl
		layer=$((layer + 1))
		mkdir "$layers/$layer"
		attempt mount -t erofs -o "ro,$acl" "images/$digest" "$layers/$layer" || fail "an image" "$PWD/images/$digest" "$said"
		lower=$lower${lower:+:}$layers/$layer
	done
	attempt mount -t overlay -o "ro,metacopy=on,redirect_dir=on,xino=on${4:+,verity=$4},lowerdir=$lower::objects" "$2" "$3" ||
		fail "the stack" "$3" "$said"
	trap - 0
	leave_layers
}

# The overlay keeps the images' mounts by itself; nothing else needs to see them.
leave_layers() {
	while [ "$layer" -gt 0 ]; do
		umount -l "$layers/$layer" 2>/dev/null || :
		rmdir "$layers/$layer" 2>/dev/null || :
		layer=$((layer - 1))
	done
	rmdir "$layers"
}
