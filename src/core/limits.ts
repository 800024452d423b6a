/**
 * Every bound on untrusted input, with the reason for its value. Readers check counts, lengths and offsets against these
 * before they use them. Sizes are in bytes.
 */

/** Largest metadata image that is read: 1 GiB, about 4 million inodes. */
export const MAX_IMAGE_BYTES = 1 << 30;

/** Largest file in a composefs image: 1024 chunks of 2^43 bytes, what the C library can write. */
export const MAX_FILE_BYTES = 2 ** 53;

/** Content kept inline in an image; above it the C tools refuse a dump. */
export const MAX_INLINE_BYTES = 5000;

/** Length of one file name (NAME_MAX of Linux). */
export const MAX_NAME_BYTES = 255;

/** Symbolic link targets: PATH_MAX less the final NUL. */
export const MAX_SYMLINK_BYTES = 4095;

/** Length of one xattr name with its prefix (XATTR_NAME_MAX of Linux). */
export const MAX_XATTR_NAME_BYTES = 255;

/** Length of one xattr value (XATTR_SIZE_MAX of Linux is 65536; EROFS stores it in 16 bits). */
export const MAX_XATTR_VALUE_BYTES = 65535;

/** All xattrs of one inode together, counted as composefs does: 12 + sum(7 + name + value). */
export const MAX_XATTR_TOTAL_BYTES = 32767;

/** Largest JSON metadata file (TUF role, release, channel, delta index) that is read. */
export const MAX_METADATA_BYTES = 16 << 20;

/** Inodes of one tree; keeps memory for a hostile dump, image or tar below about 4 GiB. */
export const MAX_TREE_NODES = 8_000_000;

/** Depth of directories; each level costs stack in no reader, but paths grow with it. */
export const MAX_TREE_DEPTH = 2048;
