/** Chooses what a member is differenced against, and finds its copies. */
import { freeMemory } from '../../core/bytes.ts';
import { MAX_MEMBER_BASES } from '../../core/limits.ts';
import type { CoarseMap } from '../align/coarse-map.ts';
import { findCoarseMap } from '../align/find-coarse-map.ts';
import { type Copies, findCopies } from '../align/find-copies.ts';
import type { RecordMemory } from '../projection/projection.ts';
import { projectionFor } from '../projection/projections.ts';
import {
  OldContent,
  type OldPart,
  type ProjectedSize,
  type ProjectionRoom,
  partInMemory,
  projectedPart,
} from './difference-old.ts';
import type { MemberPlan, PlannedBase } from './difference-plan.ts';

export interface Alignment {
  readonly plan: MemberPlan;
  readonly old: OldContent;
  /** None of them goes over the end of a part. */
  readonly copies: Copies;
}

/** What is known of the record when a member is aligned. */
export interface AlignmentContext {
  readonly bases: readonly Uint8Array[];
  /** As the members before have left it; it is not changed. */
  readonly memory: RecordMemory;
  /** What the member projects is taken of it. */
  readonly room: ProjectionRoom;
  readonly effort: number;
}

/** From this effort on every base is tried alone, with and without its projection. */
const THOROUGH_EFFORT = 8;

/** @param candidates indexes of bases that may help. */
export function alignMember(next: Uint8Array, candidates: readonly number[], context: AlignmentContext): Alignment {
  const used = candidates
    .map((index) => new CandidateBase(index, next, context))
    .sort((a, b) => b.agreement - a.agreement || a.index - b.index);
  let best = new Attempt(next, [], context.effort);
  const attempt = (bases: readonly UsedBase[]) => {
    const made = new Attempt(next, bases, context.effort);
    if (made.cost < best.cost) best = made;
  };
  const isThorough = context.effort >= THOROUGH_EFFORT;
  for (const base of isThorough ? used : used.slice(0, 1)) {
    attempt([base.best]);
    if (isThorough && base.projected !== undefined)
      attempt([base.best === base.projected ? base.plain : base.projected]);
  }
  if (used.length > 1) attempt(together(used.slice(0, MAX_MEMBER_BASES), next.length, context.room));
  for (const { projected } of used)
    if (projected !== undefined && !best.uses(projected.part)) new OldContent([projected.part]).free();
  context.room.take(projectedOf(best.plan, context.bases), next.length);
  return best;
}

/** Each base as it is nearest to the new file, as long as a reader may project so many. */
function together(used: readonly CandidateBase[], nextSize: number, room: ProjectionRoom): UsedBase[] {
  const projected: ProjectedSize[] = [];
  return used.map(({ best, plain, size }) => {
    const { projected: choice } = best.planned;
    if (choice === undefined) return plain;
    const { projection } = choice;
    if (!room.fits([...projected, { size, projection }], nextSize)) return plain;
    projected.push({ size, projection });
    return best;
  });
}

function projectedOf(plan: MemberPlan, bases: readonly Uint8Array[]): ProjectedSize[] {
  return plan.flatMap(({ index, projected }) =>
    projected === undefined ? [] : [{ size: bases[index]!.length, projection: projected.projection }],
  );
}

/** A base with or without a projection. */
interface UsedBase {
  readonly part: OldPart;
  readonly planned: PlannedBase;
  /** The new file as it is to be compared with the part. */
  readonly comparable: Uint8Array;
}

/** Bytes of two files that are the same where a map says that they should be. */
function agreementOf(old: Uint8Array, next: Uint8Array, { oldAt, newAt, lengths }: CoarseMap): number {
  const beforeFirst = Math.min(oldAt[0] ?? old.length, newAt[0] ?? next.length);
  let equal = equalBytes(old, 0, next, 0, beforeFirst);
  for (let index = 0; index < lengths.length; index++)
    equal += equalBytes(old, oldAt[index]!, next, newAt[index]!, lengths[index]!);
  return equal;
}

function equalBytes(old: Uint8Array, oldAt: number, next: Uint8Array, newAt: number, length: number): number {
  const end = Math.min(oldAt + length, old.length);
  const shift = newAt - oldAt;
  let equal = 0;
  for (let at = oldAt; at < end; at++) if (old[at] === next[at + shift]) equal++;
  return equal;
}

class CandidateBase {
  readonly index: number;
  readonly size: number;
  readonly plain: UsedBase;
  readonly projected: UsedBase | undefined;
  /** The one that seems to be nearer to the new file, and how near. */
  readonly best: UsedBase;
  readonly agreement: number;

  constructor(index: number, next: Uint8Array, { bases, memory, room }: AlignmentContext) {
    const base = bases[index]!;
    const map = findCoarseMap(base, next);
    this.index = index;
    this.size = base.length;
    this.plain = { part: partInMemory(base), planned: { index, projected: undefined }, comparable: next };
    this.best = this.plain;
    this.agreement = agreementOf(base, next, map);
    const projected = projectionFor(base, next, map);
    if (projected === undefined || !room.fits([{ size: base.length, ...projected }], next.length)) return;
    const part = projectedPart(Uint8Array.from(base), projected, next.length, memory);
    const { comparable } = projected;
    this.projected = { part, planned: { index, projected }, comparable };
    // Some projections keep the old offsets, others give the new ones.
    const agreement = Math.max(
      agreementOf(part.bytes!, comparable, map),
      equalBytes(part.bytes!, 0, comparable, 0, next.length),
    );
    if (agreement < this.agreement) return;
    this.best = this.projected;
    this.agreement = agreement;
  }
}

/** Bits that a base's plan, the numbers of a copy, a changed byte and a literal cost, roughly. */
const BASE_BITS = 16;
const COPY_BITS = 20;
const CHANGE_BITS = 9;
const LITERAL_BITS = 5;

const NO_COPIES: Copies = { count: 0, newAt: new Uint32Array(), oldAt: new Uint32Array(), lengths: new Uint32Array() };

class Attempt implements Alignment {
  readonly plan: MemberPlan;
  readonly old: OldContent;
  readonly copies: Copies;
  /** In bits, an estimate. */
  readonly cost: number;
  readonly #parts: readonly OldPart[];

  constructor(next: Uint8Array, bases: readonly UsedBase[], effort: number) {
    const parts = bases.map(({ part }) => part);
    const bytes = parts.length === 1 ? parts[0]!.bytes! : Buffer.concat(parts.map((part) => part.bytes!));
    // Files of one kind have it alike.
    const compared = bases.find(({ comparable }) => comparable !== next)?.comparable ?? next;
    this.plan = bases.map(({ planned }) => planned);
    this.old = new OldContent(parts);
    this.copies = bytes.length === 0 ? NO_COPIES : splitCopies(findCopies(bytes, compared, { effort }), parts);
    const described = this.plan.reduce((sum, { projected }) => sum + (projected?.description.length ?? 0), 0);
    this.cost = costOf(this.copies, bytes, compared) + this.plan.length * BASE_BITS + described * LITERAL_BITS;
    this.#parts = parts;
    if (parts.length > 1) freeMemory(bytes);
  }

  uses(part: OldPart): boolean {
    return this.#parts.includes(part);
  }
}

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
