/**
 * Every bound on untrusted input, with the reason for its value. Readers check counts, lengths and offsets against these
 * before they use them. Sizes are in bytes.
 */

/** Largest metadata image, or columns of its tree form in a delta, that is read: 1 GiB, room for the inodes of MAX_TREE_NODES. */
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

/**
 * Names and xattr values of one inode of an image, together. What composefs takes (MAX_XATTR_TOTAL_BYTES) grows by its escapes and marks,
 * but stays below this.
 */
export const MAX_STORED_XATTR_BYTES = 65535;

/**
 * What the paths, xattrs and inline contents of an image's entries may come to when each is written out (as a dump does): a base, and so
 * many times the image's own size. Images share xattrs and hard links share inodes, so a small hostile image could stand for terabytes.
 */
export const MAX_EXPANSION_BASE_BYTES = 16 << 20;
export const MAX_EXPANSION_FACTOR = 64;

/** Path of an object as an image names it (composefs' PAYLOAD): PATH_MAX less the final NUL. */
export const MAX_PAYLOAD_BYTES = 4095;

/** Largest dump text: far more than the lines of MAX_TREE_NODES usually need, and positions in it fit in 31 bits. */
export const MAX_DUMP_BYTES = 2 ** 31 - 1;

/** Escaped text of all xattrs on one line of a dump, as composefs limits it. */
export const MAX_DUMP_XATTR_TEXT_BYTES = 65535;

/** All xattrs of one inode together, counted as composefs does: 12 + sum(7 + name + value). */
export const MAX_XATTR_TOTAL_BYTES = 32767;

/** Largest JSON metadata file (TUF role, release, channel, delta index) that is read. */
export const MAX_METADATA_BYTES = 16 << 20;

/**
 * Entries of one tree. Each takes about 600 bytes of memory and as much again while an image is written: what a hostile dump, image or tar
 * can ask for stays below 4 GiB. Large systems have less than a million.
 */
export const MAX_TREE_NODES = 3_000_000;

/** xattrs of all entries of one tree: each takes about 50 bytes besides its name and value, an image refers to one with 4 bytes. */
export const MAX_TREE_XATTRS = 12_000_000;

/** Depth of directories; each level costs stack in no reader, but paths grow with it. */
export const MAX_TREE_DEPTH = 2048;

/** One configuration file or small record on the device (deployment, trusted root); people write them by hand. */
export const MAX_CONFIGURATION_BYTES = 1 << 20;

/** Images of one stack: far below the 500 layers of overlayfs, and their paths fit in one page of mount options. */
export const MAX_STACK_IMAGES = 64;

/** Words of a kernel command line; the kernel takes 2 to 4 KiB of text. */
export const MAX_KERNEL_ARGUMENTS = 1024;

/** Largest file in /etc that is merged by lines: no configuration that people write is larger, and three of them are held. */
export const MAX_MERGED_TEXT_BYTES = 1 << 20;

/** Lines that one side of a merge adds and removes: the search for them takes memory by its square, 16 MB here. */
export const MAX_MERGED_EDITS = 2000;

/** Entries of one map in a release or channel (names, annotations): people write them by hand. */
export const MAX_MANIFEST_ENTRIES = 10_000;

/** Points of one rollout ramp. */
export const MAX_RAMP_POINTS = 1000;

/** Images on either side of one delta: the stack of one device at most. */
export const MAX_DELTA_IMAGES = 64;

/** Deltas that lead to one image: one from each release that devices may still have. */
export const MAX_DELTAS_PER_IMAGE = 10_000;

/** Redirects that one HTTP request follows; browsers take 20, a CDN needs one or two. */
export const MAX_REDIRECTS = 5;

/** Data of one tar extension header (pax records, a long name); GNU tar and Go stop at 1 MiB too. */
export const MAX_TAR_EXTENSION_BYTES = 1 << 20;

/** Records in force for one entry of a tar, the global ones with it: more than a file can have xattrs in an image. */
export const MAX_TAR_RECORDS = 1024;

/** Pieces of data of one sparse file in a tar; they take 16 MiB of memory. */
export const MAX_TAR_SPARSE_PARTS = 1 << 20;

/** Zeros that the sparse files of one tar expand to together: an archive of some hundred bytes can ask for 2^63. */
export const MAX_TAR_HOLE_BYTES = 2 ** 36;

/** Memory of the zstd decoder: its window, as the zstd program allows it without --long. */
export const MAX_ZSTD_WINDOW_LOG = 27;

/**
 * Window of the zstd decoder in WebAssembly, whose memory is 16 MiB of which 5 are its stack. The levels of zstd up to 19 need no more.
 */
export const MAX_PORTABLE_ZSTD_WINDOW_BYTES = 8 << 20;

/** A TUF root that is read: hundreds of keys. Unsigned bytes of this many are parsed before a signature is checked. */
export const MAX_ROOT_METADATA_BYTES = 256 << 10;

/** A TUF timestamp: it names one file and its hashes. */
export const MAX_TIMESTAMP_BYTES = 16 << 10;

/** A TUF snapshot: a hundred bytes for each role. */
export const MAX_SNAPSHOT_BYTES = 1 << 20;

/** Header of a delta before compression: about six bytes for each of ten million objects. */
export const MAX_DELTA_HEADER_BYTES = 64 << 20;

/** Image section of a delta as stored; a reader holds it in memory. The whole image of a tree of 4 million files fits. */
export const MAX_DELTA_HEAD_BYTES = 512 << 20;

/**
 * Xattrs of all nodes of a tree form together: more than three for each of MAX_TREE_NODES, some 40 bytes of memory each. A form names them
 * by number, so a hostile one of a few hundred bytes could ask for any number.
 */
export const MAX_TREE_FORM_XATTRS = 10_000_000;

/** Codecs that one delta may name; there will never be as many. */
export const MAX_DELTA_CODECS = 64;

/** Bases and content of the codec brotli-base: it is slow to make, and for texts, of which groups are small. */
export const MAX_BROTLI_CODEC_BYTES = 24 << 20;

/**
 * Memory of the codec zstd-base: twice the bases (as read, and in zstd) and once the content. An initrd of 20 MB fits; of what is larger, the
 * codec difference holds parts.
 */
export const MAX_DICTIONARY_CODEC_BYTES = 64 << 20;

/** Name of a section of an ELF file: what linkers and kernels write stays below 100. */
export const MAX_ELF_NAME_BYTES = 255;

/**
 * Largest old file that is rewritten by a projection, which holds it in memory whole: the vmlinux of a distribution's kernel (53 MB) and the
 * libnode.so of Node (47 MB) fit, and a decoder stays below 150 MB with it.
 */
export const MAX_PROJECTED_BYTES = 64 << 20;

/** Bases of one member of a record of the codec difference: who makes deltas takes 4 at most, and a reader holds small ones all. */
export const MAX_MEMBER_BASES = 16;

/**
 * What all members of a record project, in relation to its bases and its content: each of hundreds of members could project all bases, and
 * take hours. Who makes deltas projects each base for one or two members.
 */
export const MAX_PROJECTED_PASSES = 16;

/**
 * Content of one segment of a record of the codec difference, which a reader holds. An object must be in one as a whole to teach the next ones:
 * the largest kernel modules, of 6 MB, are.
 */
export const MAX_SEGMENT_BYTES = 8 << 20;

/** Stored bytes of one segment, held by a reader: its content as it is, and some for plans and control numbers. */
export const MAX_SEGMENT_STORED_BYTES = 10 << 20;

/** Plans of the members of one segment (bases, coarse maps, descriptions of projections): that of a library of 20 MB has 30 kB. */
export const MAX_SEGMENT_PLAN_BYTES = 4 << 20;

/** Bytes that one suffix array covers: it takes four times as much memory. Larger old files are searched in parts. */
export const MAX_SUFFIX_ARRAY_BYTES = 64 << 20;

/** Jobs of one delta as JSON lines: 200 bytes for each object and each base, so a million of both. */
export const MAX_JOB_PLAN_BYTES = 512 << 20;

/** Types in one section of BTF that are rewritten: as many as a whole kernel has; the largest modules have 10,000. */
export const MAX_BTF_TYPES = 1 << 17;

/** Numbers of one kind that the members of a record teach each other: more than a kernel has types in its BTF. */
export const MAX_LEARNED_NUMBERS = 1 << 17;

/** Bases and content of a record that is differenced: whoever makes a delta holds both in memory, with a suffix array beside them. */
export const MAX_DIFFERENCED_BYTES = 256 << 20;

/** Largest file, or bases together, that copies are looked for in: offsets of copies take 32 bits. */
export const MAX_ALIGNED_BYTES = 2 ** 32 - 1;

/** Largest bitcode that is projected: eight shifted copies of it are held. */
export const MAX_BITCODE_BYTES = 4 << 20;

/** One entry of a boot menu: a title, paths and a kernel command line of 2 to 4 KiB. */
export const MAX_BOOT_ENTRY_BYTES = 64 << 10;

/** Damaged objects and images that a device remembers between two checks: a disk with more is replaced, not repaired. */
export const MAX_RECORDED_PROBLEMS = 10_000;

/** Tables of zstd's encoder that a reader emulates to restore a frame, as powers of two: those of level 19 take 80 MB, above that are only 20 to 22. */
export const MAX_ZSTD_TABLE_LOG = 24;

/**
 * Places and bytes that a reader looks at for each byte of content to restore a zstd frame: level 22 takes some hundreds of real content, and its tables allow
 * for thousands.
 */
export const MAX_ZSTD_SEARCH_WORK = 4096;

/**
 * Content of the files of one record that are compressed inside, and again that of its bases: a reader holds both in memory. The kernel
 * and the initrd of a distribution have 53 MB.
 */
export const MAX_UNPACKED_BYTES = 64 << 20;

/** What a record says beside the content of its compressed files, to give them back bit for bit. */
export const MAX_RECIPES_BYTES = 16 << 20;
