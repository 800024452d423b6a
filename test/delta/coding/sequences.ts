/** Sequences to code that are the same on every run. */

/** Numbers below `limit`, from a linear congruential generator. */
export function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** Words as program code has them: few kinds, some of them often. */
export function wordsOf(length: number, seed: number): Uint8Array {
  const next = numbers(seed);
  const kinds = Array.from({ length: 50 }, () => [next(256), next(4), 0, next(2)]);
  return Uint8Array.from({ length }, (_, at) => (at % 4 === 0 ? next(40) : 0)).map((_, at, all) => {
    const kind = kinds[all[at - (at % 4)]!]!;
    return kind[at % 4]!;
  });
}

export interface Copy {
  readonly predicted: Uint8Array;
  readonly actual: Uint8Array;
  readonly oldAt: number;
}

/** Copies in which some words changed by always the same, and some bytes to anything. */
export function copiesOf(count: number, seed: number): Copy[] {
  const next = numbers(seed);
  return Array.from({ length: count }, () => {
    const predicted = wordsOf(next(4000), next(1000));
    const actual = predicted.slice();
    for (let changes = next(30); changes > 0; changes--) {
      const at = next(actual.length);
      actual[at]! += next(3) === 0 ? next(256) : 16;
    }
    return { predicted, actual, oldAt: next(10_000) };
  });
}
