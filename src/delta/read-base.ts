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
    await readWhole(base, joined.subarray(at, at + base.size));
    at += base.size;
  }
  return joined;
}

async function readWhole(base: Base, target: Uint8Array): Promise<void> {
  if (base.readInto !== undefined) return base.readInto(target, 0);
  for (let offset = 0; offset < base.size; offset += SLICE_BYTES)
    target.set(await base.read(offset, Math.min(SLICE_BYTES, base.size - offset)), offset);
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
