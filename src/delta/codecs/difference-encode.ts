/** Encodes records of the codec `difference`. docs/formats/delta.md has the format. */
import { ByteWriter } from '../../core/bytes.ts';
import { MAX_SEGMENT_BYTES } from '../../core/limits.ts';
import { ControlEncoder } from '../coding/control.ts';
import { LiteralEncoder } from '../coding/literal.ts';
import { RecordModels } from '../coding/record-models.ts';
import { ResidualEncoder } from '../coding/residual.ts';
import type { StreamOptions } from '../coding/stream-choice.ts';
import { RecordMemory } from '../projection/projection.ts';
import { totalSize } from '../total-size.ts';
import { type Alignment, alignMember } from './difference-align.ts';
import { ProjectionRoom } from './difference-old.ts';
import { PlanWriter } from './difference-plan.ts';
import { encodeSegment } from './difference-segment.ts';

/** Content of a segment: more wins nothing, since what was learned goes on; a reader holds it. */
const SEGMENT_BYTES = 2 << 20;

export interface Content {
  readonly target: Uint8Array;
  readonly bases: readonly Uint8Array[];
  /** Sizes. */
  readonly members: readonly number[];
  /** For each member the bases that may help it. */
  readonly basesOf: readonly (readonly number[])[];
}

/**
 * The stored bytes; undefined where a reader would not take them.
 * @param mostBytes content of one segment at most.
 */
export function encodeDifference(
  { target, bases, members, basesOf }: Content,
  effort: number,
  mostBytes: number = MAX_SEGMENT_BYTES,
): Uint8Array | undefined {
  const plans = new PlanWriter();
  const memory = new RecordMemory();
  const models = new RecordModels(target.length);
  const sizes = bases.map(({ length }) => length);
  const room = new ProjectionRoom(sizes, members);
  const stored: Uint8Array[] = [];
  let at = 0;
  let member: MemberEncoder | undefined;
  for (const pieces of cutSegments(members, Math.min(SEGMENT_BYTES, mostBytes), mostBytes)) {
    const bytes = totalSize(pieces);
    const segment = new SegmentEncoder(target.subarray(at, at + bytes), models, { effort, bytes });
    for (const { index, offset, size } of pieces) {
      if (offset === 0 || member === undefined) {
        const next = target.subarray(at, at + members[index]!);
        member?.free();
        const alignment = alignMember(next, basesOf[index]!, { bases, memory, room, effort });
        plans.write(alignment.plan, segment.plan);
        member = new MemberEncoder(next, alignment);
      }
      member.encode(segment, offset, offset + size);
      if (size === members[index]) member.learn();
      at += size;
    }
    const encoded = segment.finish();
    if (encoded === undefined) return undefined;
    stored.push(encoded);
  }
  member?.free();
  models.free();
  return Buffer.concat(stored);
}

/** A piece of a member; sizes and offsets in bytes. */
interface Piece {
  readonly index: number;
  readonly offset: number;
  readonly size: number;
}

/**
 * The pieces of each segment: as many members as have `usual` bytes, or one that has more. It is cut where it has more than `most`, and then
 * learns nothing.
 */
function cutSegments(members: readonly number[], usual: number, most: number): Piece[][] {
  const segments: Piece[][] = [];
  let room = 0;
  members.forEach((memberSize, index) => {
    const step = memberSize > most ? usual : memberSize;
    for (let offset = 0; offset < memberSize; offset += step) {
      const size = Math.min(step, memberSize - offset);
      if (size > room) {
        segments.push([]);
        room = Math.max(usual, size);
      }
      segments.at(-1)!.push({ index, offset, size });
      room -= size;
    }
  });
  return segments;
}

/** Gives the copies of a member, and the literals between them, to the segments that it is in. */
class MemberEncoder {
  readonly #next: Uint8Array;
  readonly #alignment: Alignment;
  /** The copy that is to come, and bytes of it that are done. */
  #copy = 0;
  #copied = 0;
  #expected = 0;

  constructor(next: Uint8Array, alignment: Alignment) {
    this.#next = next;
    this.#alignment = alignment;
  }

  /** Pieces come in their order. */
  encode(segment: SegmentEncoder, from: number, to: number): void {
    const { count, newAt, oldAt, lengths } = this.#alignment.copies;
    for (let at = from; at < to; ) {
      const start = this.#copy < count ? newAt[this.#copy]! + this.#copied : to;
      const literal = Math.min(start, to) - at;
      const copyAt = at + literal;
      const copy = copyAt < to ? Math.min(lengths[this.#copy]! - this.#copied, to - copyAt) : 0;
      const old = copy === 0 ? this.#expected : oldAt[this.#copy]! + this.#copied;
      segment.add(literal, copy, old - this.#expected);
      if (copy > 0) this.#addResidual(segment, copyAt, old, copy);
      at = copyAt + copy;
    }
  }

  learn(): void {
    this.#alignment.old.learn(this.#next);
  }

  /** Gives memory back; nothing comes after it. */
  free(): void {
    this.#alignment.old.free();
  }

  #addResidual(segment: SegmentEncoder, newAt: number, from: number, length: number): void {
    const { part, offset } = this.#alignment.old.find(from);
    let predicted = part.bytes!.subarray(offset, offset + length);
    if (part.settle !== undefined) {
      predicted = predicted.slice();
      part.settle(predicted, offset, newAt);
    }
    const actual = this.#next.subarray(newAt, newAt + length);
    segment.residuals.add(predicted, actual, { classes: part.classes, oldAt: offset, newAt });
    this.#expected = from + length;
    this.#copied += length;
    if (this.#copied < this.#alignment.copies.lengths[this.#copy]!) return;
    this.#copy++;
    this.#copied = 0;
  }
}

class SegmentEncoder {
  readonly plan = new ByteWriter();
  readonly residuals: ResidualEncoder;
  readonly #controls: ControlEncoder;
  readonly #literals: LiteralEncoder;
  readonly #content: Uint8Array;
  #done = 0;

  constructor(content: Uint8Array, models: RecordModels, options: StreamOptions) {
    this.residuals = new ResidualEncoder(models, options);
    this.#controls = new ControlEncoder(models, options);
    this.#literals = new LiteralEncoder(models, options);
    this.#content = content;
  }

  add(literal: number, copy: number, seek: number): void {
    this.#controls.add(literal, copy, seek);
    this.#literals.add(this.#content, this.#done, this.#done + literal);
    this.#done += literal + copy;
  }

  finish(): Uint8Array | undefined {
    return encodeSegment({
      size: this.#content.length,
      plan: this.plan.finish(),
      control: this.#controls.finish(),
      residual: this.residuals.finish(),
      literal: this.#literals.finish(),
    });
  }
}
