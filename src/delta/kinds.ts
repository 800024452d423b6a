/** What kind of file an object is, by its first bytes and its name: objects of a kind are alike, and a summary counts by kind. */
import type { ByteString } from '../core/bytes.ts';
import { baseName, extensionOf } from './names.ts';

/** `library` and `program` are ELF files; `compressed` is what is compressed inside. */
export type Kind = 'kernel' | 'initrd' | 'module' | 'library' | 'program' | 'compressed' | 'other';

/** What is compressed inside, and mostly far smaller where it is unpacked. */
export const PACKED_KINDS: ReadonlySet<string> = new Set<Kind>(['compressed', 'initrd', 'kernel']);

const COMPRESSED = new Set('bz2 gif gz jar jpeg jpg lz4 lzma mp3 mp4 ogg png webp whl woff2 xz zip zst'.split(' '));

/** First bytes of compressed formats, in hexadecimal: gzip, bzip2, xz, zstd, lz4, zip, 7z, PNG, GIF, JPEG, woff2. */
const COMPRESSED_MAGICS =
  '1f8b 425a68 fd377a585a00 28b52ffd 04224d18 504b0304 377abcaf271c 89504e47 47494638 ffd8ff 774f4632'.split(' ');

const ELF_MAGIC = '7f454c46';

/** @param head the first bytes of the content, 8 or more where it has so many. */
export function kindOf(path: ByteString, head: Uint8Array): Kind {
  const name = baseName(path);
  const extension = extensionOf(path);
  const start = Buffer.from(head).toString('hex', 0, 8);
  if (/^(vmlinu[xz]|bzImage|Image)(-[0-9]|$)/.test(name)) return 'kernel';
  if (/^(initrd|initramfs)(\.img)?(-[0-9]|$)|^initramfs.*\.img$/.test(name)) return 'initrd';
  if (start.startsWith(ELF_MAGIC)) return extension === 'ko' ? 'module' : extension === 'so' ? 'library' : 'program';
  if (COMPRESSED_MAGICS.some((magic) => start.startsWith(magic))) return 'compressed';
  return isNamedCompressed(path) ? 'compressed' : 'other';
}

/** True for a name that compressed content has. */
export function isNamedCompressed(path: ByteString): boolean {
  return COMPRESSED.has(extensionOf(path));
}
