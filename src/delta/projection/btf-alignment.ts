/** Aligns the types of two sections of BTF, whose order may be another. The encoder's side. */

/** Old types that stay, one behind another. */
export interface KeyRun {
  readonly oldAt: number;
  readonly newAt: number;
  readonly length: number;
}

/** Old types of one key that are tried. */
const MAX_CANDIDATES = 32;
/** How far a candidate is followed. */
const MAX_LOOK_AHEAD = 48;

export interface KeyAlignment {
  /** In the order of the new types; the first one may be empty. */
  readonly runs: readonly KeyRun[];
  /** 1 for each old type that is in a run. */
  readonly used: Uint8Array;
}

export function alignKeys(old: Uint32Array, next: Uint32Array): KeyAlignment {
  const used = new Uint8Array(old.length);
  const first = new Map<number, number>();
  const following = new Int32Array(old.length);
  for (let index = old.length - 1; index >= 0; index--) {
    following[index] = first.get(old[index]!) ?? -1;
    first.set(old[index]!, index);
  }
  const forward = (oldAt: number, newAt: number): number => {
    let length = 0;
    while (
      length < MAX_LOOK_AHEAD &&
      oldAt + length < old.length &&
      newAt + length < next.length &&
      used[oldAt + length] === 0 &&
      old[oldAt + length] === next[newAt + length]
    )
      length++;
    return length;
  };
  const runs: { oldAt: number; newAt: number; length: number }[] = [];
  let expected = 0;
  for (let at = 0; at < next.length; at++) {
    const key = next[at]!;
    let best = -1;
    let bestLength = 0;
    if (expected < old.length && used[expected] === 0 && old[expected] === key) {
      best = expected;
    } else {
      let tried = 0;
      for (let index = first.get(key) ?? -1; index >= 0 && tried < MAX_CANDIDATES; index = following[index]!) {
        if (used[index] !== 0) continue;
        tried++;
        const length = forward(index, at);
        const better =
          length > bestLength || (length === bestLength && Math.abs(index - expected) < Math.abs(best - expected));
        if (better) {
          best = index;
          bestLength = length;
        }
      }
      // One of many that stands alone says nothing.
      if (bestLength === 1 && tried > 1 && Math.abs(best - expected) > 2) best = -1;
    }
    if (best < 0) continue;
    used[best] = 1;
    const last = runs[runs.length - 1];
    if (last !== undefined && last.oldAt + last.length === best && last.newAt + last.length === at) last.length++;
    else runs.push({ oldAt: best, newAt: at, length: 1 });
    expected = best + 1;
  }
  if (runs.length === 0 || runs[0]!.newAt > 0) runs.unshift({ oldAt: 0, newAt: 0, length: 0 });
  return { runs, used };
}
