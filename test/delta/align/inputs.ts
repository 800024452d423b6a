/** Byte strings that are hard for alignment: random ones, regular ones, and pairs that are edits of each other. */
import fc from 'fast-check';

function fibonacci(length: number): Uint8Array {
  let a = 'b';
  let b = 'a';
  while (b.length < length) [a, b] = [b, b + a];
  return Buffer.from(b.slice(0, length));
}

/** Every word of `order` letters of an alphabet of `letters` once (the greedy construction: prefer the largest letter). */
function deBruijn(letters: number, order: number): Uint8Array {
  const out: number[] = new Array(order).fill(0);
  const seen = new Set([out.join()]);
  for (let letter = letters - 1; letter >= 0; ) {
    const word = [...out.slice(out.length - order + 1), letter].join();
    if (seen.has(word)) {
      letter--;
      continue;
    }
    seen.add(word);
    out.push(letter);
    letter = letters - 1;
  }
  return Uint8Array.from(out);
}

export const REGULAR: Record<string, Uint8Array> = {
  empty: new Uint8Array(0),
  'one byte': Uint8Array.of(7),
  'two equal bytes': Uint8Array.of(7, 7),
  'all zero': new Uint8Array(3000),
  'all 255': new Uint8Array(3000).fill(255),
  'zeros and a one': Uint8Array.from({ length: 3000 }, (_, at) => (at === 1500 ? 1 : 0)),
  rising: Uint8Array.from({ length: 3000 }, (_, at) => at & 255),
  falling: Uint8Array.from({ length: 3000 }, (_, at) => -at & 255),
  'of period 3': Uint8Array.from({ length: 3000 }, (_, at) => at % 3),
  Fibonacci: fibonacci(4000),
  'de Bruijn of 2 letters': deBruijn(2, 10),
  'de Bruijn of 5 letters': deBruijn(5, 4),
  'a run, doubled': Uint8Array.from({ length: 4000 }, (_, at) => (at % 2000 < 1999 ? 1 : 2)),
};

/** Few letters make many equal parts. */
const strings = fc.oneof(
  fc.uint8Array({ maxLength: 400, size: 'max' }),
  fc.uint8Array({ max: 1, maxLength: 400, size: 'max' }),
  fc.uint8Array({ max: 3, maxLength: 400, size: 'max' }),
  fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 60 }))
    .map(([part, times]) => Buffer.concat(new Array(times).fill(part))),
);

export function byteStrings(): fc.Arbitrary<Uint8Array> {
  return strings.map((bytes) => Uint8Array.from(bytes));
}

/** An old file and a new one that is made of its parts, changed bytes and inserted ones. */
export function editedPairs(): fc.Arbitrary<readonly [Uint8Array, Uint8Array]> {
  const edit = fc.record({
    from: fc.nat(2000),
    length: fc.nat(600),
    insert: fc.uint8Array({ maxLength: 40 }),
    every: fc.integer({ min: 1, max: 90 }),
  });
  return fc
    .tuple(
      fc.oneof(byteStrings(), fc.uint8Array({ minLength: 500, maxLength: 2000, size: 'max' })),
      fc.array(edit, { maxLength: 8 }),
    )
    .map(([old, edits]) => {
      const parts = edits.map(({ from, length, insert, every }) => {
        const part = Uint8Array.from(old.subarray(from, from + length));
        for (let at = every; at < part.length; at += every) part[at]! ^= every;
        return Buffer.concat([insert, part]);
      });
      return [old, Uint8Array.from(Buffer.concat(parts))] as const;
    });
}
