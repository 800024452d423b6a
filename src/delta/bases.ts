/**
 * Which objects help a new one, as bases: objects of the from-images with a name like its own or with the same strings in their
 * content, several where they help with different parts; or another new object where no old one is like it.
 */
import type { Digest } from '../core/digest.ts';
import type { ObjectReference } from '../tree/references.ts';
import { type Sketch, spacingFor } from './sketch.ts';
import { type Match, SketchIndex } from './sketch-index.ts';

/** Bases of one object at most: more cost an encoder and a decoder time and memory for less and less. */
const MAX_BASES = 4;

/** A content that shares fewer strings than this has them by chance, or as all of its kind do. */
const MIN_SHARED_STRINGS = 3;

/** How much more than the one with the best name another object must share: this many times, and this many strings but not more than this part. */
const NAME_ADVANTAGE = 1.25;
const NAME_ADVANTAGE_STRINGS = 6;
const NAME_ADVANTAGE_PART = 1 / 8;

/** What a further base must add: bytes, and a part of the object. */
const MIN_ADDED_BYTES = 2 << 10;
const MIN_ADDED_PART = 1 / 16;

/** A base costs time by its size: it must share this part of it, or have the best name and not be far larger than the object. */
const MIN_SHARED_PART_OF_BASE = 1 / 256;
const MAX_NAMED_BASE_FACTOR = 16;
const MAX_NAMED_BASE_BYTES = 4 << 20;

/** Below this part of it in old bases, an object looks for its like among the new ones. */
const POOR_PART = 1 / 4;

/** And what another new object must share with it to become its base: a record that waits for another costs an applying device time. */
const MIN_SHARED_WITH_NEW = 16 << 10;
const MIN_SHARED_PART_WITH_NEW = 1 / 8;

/** A new object, as far as bases are concerned. */
export interface Seeker extends ObjectReference {
  /** Undefined for content whose strings say nothing. */
  readonly sketch: Sketch | undefined;
  /** Old objects by name, the best first. */
  readonly named: readonly ObjectReference[];
  /** True for what is made of other new objects: none of them can be based on it. */
  readonly comesLast: boolean;
}

export interface ChosenBases {
  readonly bases: readonly ObjectReference[];
  /** True when there is one, and it is a new object; that one has none that are new. */
  readonly isNew: boolean;
}

interface Candidate {
  readonly object: ObjectReference;
  readonly strings: readonly number[];
  /** At which both contents are sampled. */
  readonly spacing: number;
  readonly hasBestName: boolean;
}

/**
 * Chooses the bases of new objects.
 * @param seekers in the order in which the delta counts them.
 * @param old objects that are in the index, by their number there.
 */
export function chooseBases(
  seekers: readonly Seeker[],
  old: readonly ObjectReference[],
  index: SketchIndex,
): ChosenBases[] {
  const among = new SketchIndex();
  const shares: number[] = [];
  const numbers = new Map(old.map(({ digest }, number) => [digest, number]));
  const chosen = seekers.map((seeker, number): ChosenBases => {
    const likely = seeker.named.map(({ digest }) => numbers.get(digest)).filter((found) => found !== undefined);
    const matches = seeker.sketch === undefined ? [] : index.find(seeker.sketch, likely);
    const candidates = candidatesOf(seeker, matches, old);
    const { bases, bytes } = cover(seeker, candidates, index.thinning);
    shares.push(bytes);
    if (seeker.sketch !== undefined && !seeker.comesLast) among.add(number, seeker.sketch);
    return { bases, isNew: false };
  });
  for (const [number, seeker] of seekers.entries()) {
    if (seeker.sketch === undefined || shares[number]! >= seeker.size * POOR_PART) continue;
    const like = likeAmongNew(number, seekers, chosen, among, shares[number]!);
    if (like !== undefined) chosen[number] = { bases: [like], isNew: true };
  }
  return chosen;
}

function candidatesOf(
  { named, size }: Seeker,
  matches: readonly Match[],
  old: readonly ObjectReference[],
): Candidate[] {
  const spacingOf = (object: ObjectReference) => Math.max(spacingFor(size), spacingFor(object.size));
  const candidates = new Map<Digest, Candidate>();
  for (const { content, strings } of matches) {
    const object = old[content]!;
    const hasBestName = object.digest === named[0]?.digest;
    const isNamed = hasBestName || named.some(({ digest }) => digest === object.digest);
    if (isNamed || strings.length >= MIN_SHARED_STRINGS)
      candidates.set(object.digest, { object, strings, spacing: spacingOf(object), hasBestName });
  }
  for (const [rank, object] of named.entries()) {
    if (!candidates.has(object.digest))
      candidates.set(object.digest, { object, strings: [], spacing: spacingOf(object), hasBestName: rank === 0 });
  }
  return [...candidates.values()];
}

/** Takes what covers most, then again and again what covers most of the rest. */
function cover(
  seeker: Seeker,
  candidates: readonly Candidate[],
  thinning: number,
): { bases: ObjectReference[]; bytes: number } {
  const { sketch, size } = seeker;
  const bases: ObjectReference[] = [];
  const covered = new Set<number>();
  let bytes = 0;
  let coarsest = 1;
  const left = new Set(candidates);
  while (bases.length < MAX_BASES) {
    let best: Candidate | undefined;
    let bestBytes = 0;
    let bestScore = 0;
    for (const candidate of left) {
      const spacing = Math.max(candidate.spacing, coarsest);
      const strings = addedStrings(candidate, covered, sketch, spacing);
      const isFirst = bases.length === 0;
      const isNamed = isFirst && candidate.hasBestName;
      const isFair = isNamed && candidate.object.size <= Math.max(MAX_NAMED_BASE_BYTES, MAX_NAMED_BASE_FACTOR * size);
      const added = Math.min(size, (isNamed ? strings : surely(strings)) * spacing * thinning);
      const advantage = Math.min(NAME_ADVANTAGE_STRINGS * spacing * thinning, size * NAME_ADVANTAGE_PART);
      const score = isNamed ? added * NAME_ADVANTAGE + advantage : added;
      if (score <= bestScore || !(isFair || isWorth(candidate, added, size, isFirst))) continue;
      best = candidate;
      bestBytes = added;
      bestScore = score;
    }
    if (best === undefined) break;
    left.delete(best);
    bases.push(best.object);
    bytes += bestBytes;
    coarsest = Math.max(coarsest, best.spacing);
    for (const string of best.strings) covered.add(string);
  }
  return { bases, bytes: Math.min(bytes, size) };
}

/** Strings that are shared at least, but for chance: samples of what two contents share vary by the root of their number. */
function surely(strings: number): number {
  return strings - Math.sqrt(strings);
}

function isWorth({ object }: Candidate, added: number, size: number, isFirst: boolean): boolean {
  if (added < object.size * MIN_SHARED_PART_OF_BASE) return false;
  return isFirst || (added >= MIN_ADDED_BYTES && added >= size * MIN_ADDED_PART);
}

/** Strings of a candidate that are not covered yet, of those that are sampled at this spacing. */
function addedStrings(
  { strings }: Candidate,
  covered: ReadonlySet<number>,
  sketch: Sketch | undefined,
  spacing: number,
): number {
  let count = 0;
  for (const string of strings) if (!covered.has(string) && 2 ** sketch!.rarities[string]! >= spacing) count++;
  return count;
}

/** An earlier new object that shares more with this one than its old bases do, and has no new base itself: chains would keep devices waiting. */
function likeAmongNew(
  number: number,
  seekers: readonly Seeker[],
  chosen: readonly ChosenBases[],
  among: SketchIndex,
  shared: number,
): ObjectReference | undefined {
  const { size, sketch } = seekers[number]!;
  let best: ObjectReference | undefined;
  let most = Math.max(MIN_SHARED_WITH_NEW, size * MIN_SHARED_PART_WITH_NEW, 2 * shared);
  const bytesOf = ({ content, strings }: Match) =>
    strings.length * among.thinning * Math.max(spacingFor(size), spacingFor(seekers[content]!.size));
  for (const match of among.find(sketch!)) {
    if (match.content >= number || chosen[match.content]!.isNew) continue;
    const bytes = bytesOf(match);
    if (bytes <= most || match.strings.length < MIN_SHARED_STRINGS) continue;
    most = bytes;
    best = seekers[match.content]!;
  }
  return best;
}
