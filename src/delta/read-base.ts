/** Bases in memory. */
import type { Base } from './codec.ts';
import { totalSize } from './total-size.ts';

/** Bytes that are read at once: two copies of a large base would not be needed at any time. */
const SLICE_BYTES = 4 << 20;

/** All bytes of the bases, one after the other, in a buffer of their own. */
export async function readBases(bases: readonly Base[]): Promise<Uint8Array<ArrayBuffer>> {
  const joined = new Uint8Array(totalSize(bases));
  let at = 0;
  for (const base of bases) {
    for (let offset = 0; offset < base.size; offset += SLICE_BYTES) {
      const slice = await base.read(offset, Math.min(SLICE_BYTES, base.size - offset));
      joined.set(slice, at);
      at += slice.length;
    }
  }
  return joined;
}

/** A base's bytes, in slices. */
export async function* streamBase(base: Base): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < base.size; offset += SLICE_BYTES)
    yield await base.read(offset, Math.min(SLICE_BYTES, base.size - offset));
}

/** A base that is in memory already. */
export function memoryBase(bytes: Uint8Array): Base {
  return {
    size: bytes.length,
    async read(offset, length) {
      return bytes.subarray(offset, offset + length);
    },
  };
}
