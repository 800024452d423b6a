/** Random damage for fuzz tests, repeatable by its seed. */

/** A generator of uniform numbers in 0..1 (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const WORDS = [
  0, 1, 2, 4, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
];

/** A copy of `bytes` with one to four random changes: flipped bits, odd numbers, cuts, copies of other parts, longer ends. */
export function mutate(bytes: Uint8Array, random: () => number): Buffer {
  let out = Buffer.from(bytes);
  const below = (limit: number) => Math.floor(random() * limit);
  for (let changes = 1 + below(4); changes > 0 && out.length > 8; changes--) {
    const at = below(out.length);
    switch (below(8)) {
      case 0:
      case 1:
        out[at] = (out[at] as number) ^ (1 << below(8));
        break;
      case 2:
        out[at] = below(256);
        break;
      case 3:
        out.writeUInt16LE((WORDS[below(WORDS.length)] as number) % 0x10000, Math.min(at & ~1, out.length - 2));
        break;
      case 4:
        out.writeUInt32LE(WORDS[below(WORDS.length)] as number, Math.min(at & ~3, (out.length - 4) & ~3));
        break;
      case 5: {
        const length = Math.min(1 + below(64), out.length - at);
        out.copy(out, at, below(out.length - length), out.length);
        break;
      }
      case 6: {
        const from = below(out.length);
        const length = Math.min([4, 12, 32, 64][below(4)] as number, out.length - Math.max(at, from));
        out.copy(out, at, from, from + length);
        break;
      }
      default:
        out = random() < 0.5 ? out.subarray(0, at) : Buffer.concat([out, out.subarray(at, at + below(5000))]);
    }
  }
  return out;
}
