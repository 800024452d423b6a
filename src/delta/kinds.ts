/** What kind of file an object is, by its name: objects of a kind are alike, and a summary counts by kind. */
import type { ByteString } from '../core/bytes.ts';
import { baseName, extensionOf } from './names.ts';

export type Kind = 'kernel' | 'initrd' | 'module' | 'library' | 'program' | 'compressed' | 'other';

const COMPRESSED = new Set('bz2 gif gz jar jpeg jpg lz4 lzma mp3 mp4 ogg png webp whl woff2 xz zip zst'.split(' '));

export function kindOf(path: ByteString): Kind {
  const name = baseName(path);
  const extension = extensionOf(path);
  if (/^(vmlinuz|vmlinux|bzImage|Image)/.test(name)) return 'kernel';
  if (/^(initrd|initramfs.*img)/.test(name)) return 'initrd';
  if (extension === 'ko') return 'module';
  if (extension === 'so') return 'library';
  if (COMPRESSED.has(extension)) return 'compressed';
  return /\/(s?bin|libexec)\/[^/]+$/.test(path) ? 'program' : 'other';
}
