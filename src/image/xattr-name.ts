/** xattr names as images store them: the number of a known prefix and the rest; and the hash by which EROFS filters them. */
import type { ByteString } from '../core/bytes.ts';
import { FILTER_SEED, XATTR_PREFIXES } from './format.ts';
import { xxh32 } from './xxh32.ts';

/** Number of the first prefix that fits and the rest of the name; number 0 and the whole name where none fits. */
export function splitName(name: ByteString): { index: number; suffix: ByteString } {
  for (const { index, prefix } of XATTR_PREFIXES) {
    if (name.startsWith(prefix)) return { index, suffix: name.slice(prefix.length) };
  }
  return { index: 0, suffix: name };
}

/** The whole name; undefined for a number that has no prefix. */
export function nameOf(index: number, suffix: ByteString): ByteString | undefined {
  if (index === 0) return suffix;
  const known = XATTR_PREFIXES.find((item) => item.index === index);
  return known === undefined ? undefined : known.prefix + suffix;
}

/** The bit (0..31) of the name filter that a name clears. */
export function filterBit(index: number, suffix: ByteString): number {
  return xxh32(suffix, FILTER_SEED + index) & 31;
}
