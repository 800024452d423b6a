/** Binary trees of places by the bytes that follow them, as zstd's strongest strategies keep them (the source of versions 1.5 is the reference). */
import type { Parameters } from './parameters.ts';
import type { SearchBudget } from './search-budget.ts';

const REACH = 8;
const LONG_MATCH = 384;
const MOST_PASSED = 192;

/**
 * Brings a place into the tree of its hash.
 * @param end of what can be compared; `at` is 8 bytes before it or more. @param lowest no place before is of use.
 * @returns how many places are passed over with it: more than one in repetitive content.
 */
export function enterIntoTree(
  bytes: Uint8Array,
  at: number,
  end: number,
  lowest: number,
  hash: number,
  last: Int32Array,
  tree: Int32Array,
  { chainLog, searchLog }: Parameters,
  budget: SearchBudget,
): number {
  const mask = (1 << (chainLog - 1)) - 1;
  const treeLowest = Math.max(0, at - mask);
  let smaller = (at & mask) << 1;
  let larger = smaller + 1;
  let smallerLength = 0;
  let largerLength = 0;
  let reach = at + REACH + 1;
  let longest = REACH;
  let work = 0;
  let index = last[hash]!;
  last[hash] = at;
  for (let left = budget.left > 0 ? 1 << searchLog : 0; left > 0 && index >= lowest && index < at; left--) {
    const node = (index & mask) << 1;
    let length = Math.min(smallerLength, largerLength);
    work += 1 - length;
    while (at + length < end && bytes[at + length] === bytes[index + length]) length++;
    work += length;
    if (length > longest) {
      longest = length;
      if (length > reach - index) reach = index + length;
    }
    if (at + length === end) break;
    if (bytes[index + length]! < bytes[at + length]!) {
      tree[smaller] = index;
      smallerLength = length;
      smaller = node + 1;
      if (index <= treeLowest) {
        smaller = -1;
        break;
      }
      index = tree[node + 1]!;
    } else {
      tree[larger] = index;
      largerLength = length;
      larger = node;
      if (index <= treeLowest) {
        larger = -1;
        break;
      }
      index = tree[node]!;
    }
  }
  if (smaller >= 0) tree[smaller] = 0;
  if (larger >= 0) tree[larger] = 0;
  budget.left -= work;
  const passed = longest > LONG_MATCH ? Math.min(MOST_PASSED, longest - LONG_MATCH) : 0;
  return Math.max(passed, reach - (at + REACH));
}
