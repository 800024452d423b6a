/** Names of files as far as they say what a file is: versions and numbers change from release to release. */
import type { ByteString } from '../core/bytes.ts';

/** The name or path with every run of digits as `0`: `libssl.so.3` and `libssl.so.1.1` differ still, `so.3` and `so.4` do not. */
export function maskDigits(name: ByteString): ByteString {
  return name.replace(/[0-9]+/g, '0');
}

export function baseName(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The last extension in lower case that is not a number: `so` of `libssl.so.3`, `gz` of `ls.1.gz`; empty where there is none. */
export function extensionOf(path: ByteString): ByteString {
  const parts = baseName(path).split('.');
  for (let index = parts.length - 1; index > 0; index--) {
    const part = parts[index]!;
    if (part !== '' && !/^[0-9]+$/.test(part)) return part.toLowerCase();
  }
  return '';
}
