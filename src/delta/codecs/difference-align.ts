/** Chooses what a member is differenced against, and finds its copies. */

import { findCoarseMap } from '../align/find-coarse-map.ts';
import { type Copies, findCopies } from '../align/find-copies.ts';
import type { RecordMemory } from '../projection/projection.ts';
import { projectionFor } from '../projection/projections.ts';
import { fitsProjection, OldContent, type OldPart, partInMemory, projectedPart } from './difference-old.ts';
import type { MemberPlan, PlannedBase } from './difference-plan.ts';

export interface Alignment {
  readonly plan: MemberPlan;
  readonly old: OldContent;
  /** None of them goes over the end of a part. */
  readonly copies: Copies;
}

const NO_COPIES: Copies = { count: 0, newAt: new Uint32Array(), oldAt: new Uint32Array(), lengths: new Uint32Array() };

/** @param candidates indexes of bases. @param memory as the members before have left it; it is not changed. */
export function alignMember(
  next: Uint8Array,
  bases: readonly Uint8Array[],
  candidates: readonly number[],
  memory: RecordMemory,
  effort: number,
): Alignment {
  let best: Alignment = { plan: [], old: new OldContent([]), copies: NO_COPIES };
  let least = costOf(best.copies, new Uint8Array(), next);
  const sets = candidates.map((index) => [index]);
  if (candidates.length > 1) sets.push([...candidates]);
  for (const set of sets) {
    const parts: OldPart[] = [];
    const plan: PlannedBase[] = [];
    for (const index of set) {
      const { part, planned } = usedBase(bases[index]!, index, next, set.length === 1, memory);
      parts.push(part);
      plan.push(planned);
    }
    const bytes = parts.length === 1 ? parts[0]!.bytes! : Buffer.concat(parts.map((part) => part.bytes!));
    const copies = splitCopies(findCopies(bytes, next, { effort }), parts);
    const cost = costOf(copies, bytes, next);
    if (cost >= least) continue;
    least = cost;
    best = { plan, old: new OldContent(parts), copies };
  }
  return best;
}

function usedBase(
  base: Uint8Array,
  index: number,
  next: Uint8Array,
  isAlone: boolean,
  memory: RecordMemory,
): { part: OldPart; planned: PlannedBase } {
  const projected =
    isAlone && fitsProjection([base.length], next.length)
      ? projectionFor(base, next, findCoarseMap(base, next))
      : undefined;
  if (projected === undefined) return { part: partInMemory(base), planned: { index, projected } };
  return {
    part: projectedPart(Uint8Array.from(base), projected, next.length, memory),
    planned: { index, projected },
  };
}

/** Bits that a control of a copy, a changed byte and a literal cost, roughly. */
const COPY_BITS = 20;
const CHANGE_BITS = 9;
const LITERAL_BITS = 5;

function costOf({ count, newAt, oldAt, lengths }: Copies, old: Uint8Array, next: Uint8Array): number {
  let changes = 0;
  let copied = 0;
  for (let index = 0; index < count; index++) {
    const from = oldAt[index]!;
    const to = newAt[index]!;
    const length = lengths[index]!;
    for (let at = 0; at < length; at++) if (old[from + at] !== next[to + at]) changes++;
    copied += length;
  }
  return count * COPY_BITS + changes * CHANGE_BITS + (next.length - copied) * LITERAL_BITS;
}

/** Copies that go over the end of a part are cut there. */
function splitCopies(copies: Copies, parts: readonly OldPart[]): Copies {
  if (parts.length === 1) return copies;
  const newAt: number[] = [];
  const oldAt: number[] = [];
  const lengths: number[] = [];
  const ends: number[] = [];
  for (const { content } of parts) ends.push((ends.at(-1) ?? 0) + content.size);
  for (let index = 0; index < copies.count; index++) {
    let from = copies.oldAt[index]!;
    let to = copies.newAt[index]!;
    const last = from + copies.lengths[index]!;
    while (from < last) {
      const end = Math.min(last, ends.find((at) => at > from)!);
      newAt.push(to);
      oldAt.push(from);
      lengths.push(end - from);
      to += end - from;
      from = end;
    }
  }
  return {
    count: newAt.length,
    newAt: Uint32Array.from(newAt),
    oldAt: Uint32Array.from(oldAt),
    lengths: Uint32Array.from(lengths),
  };
}
