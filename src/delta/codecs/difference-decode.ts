/** Decodes records of the codec `difference`. docs/formats/delta.md has the format. */
import { ByteReader, freeMemory } from '../../core/bytes.ts';
import type { Base } from '../codec.ts';
import { ControlDecoder } from '../coding/control.ts';
import { LiteralDecoder } from '../coding/literal.ts';
import { RecordModels } from '../coding/record-models.ts';
import { ResidualDecoder } from '../coding/residual.ts';
import { RESIDUAL_BLOCK_BYTES } from '../coding/residual-model.ts';
import { damagedDelta, damagedPart } from '../damage.ts';
import { RecordMemory } from '../projection/projection.ts';
import { readBases } from '../read-base.ts';
import { sum } from '../total-size.ts';
import type { DifferenceObserver, StreamPositions } from './difference-observer.ts';
import { OldContent, type OldPart, ProjectionRoom, partInMemory, projectedPart } from './difference-old.ts';
import { type MemberPlan, type PlannedBase, PlanReader } from './difference-plan.ts';
import { readSegment, type Segment } from './difference-segment.ts';
import { StoredBytes } from './stored-bytes.ts';

/** Content is given on in pieces of this size at most. */
const OUTPUT_BYTES = 64 << 10;

/**
 * Bases up to this size are read at once, and larger ones for members that have half as many bytes: reading each copy by itself takes
 * longer than making it. Of others only what is copied is read.
 */
const HELD_BASE_BYTES = 4 << 20;
const MOST_HELD_BASE_BYTES = 16 << 20;

/** What is read at once of a base that is not held; a multiple of what residuals can be cut at. */
const SLICE_BYTES = 256 * RESIDUAL_BLOCK_BYTES;

/**
 * The content of a record.
 * @param stored its chunks stay valid. @param members sizes. @param observer is told where the stored bytes go.
 * @throws OsupdError `damaged-delta`; `unsupported` for a projection that a newer osupd has; what the bases throw.
 */
export async function* decodeDifference(
  stored: AsyncIterable<Uint8Array>,
  bases: readonly Base[],
  members: readonly number[],
  observer?: DifferenceObserver,
): AsyncGenerator<Uint8Array> {
  await using source = new StoredBytes(stored);
  using record = new RecordDecoder(bases, members, observer);
  for (let left = sum(members); left > 0; ) {
    const segment = await readSegment(source, left);
    yield* record.decode(segment);
    left -= segment.size;
  }
  if (!(await source.isAtEnd())) throw damagedDelta('bytes follow the last segment of a record');
}

/** What goes on from segment to segment. */
class RecordDecoder implements Disposable {
  readonly #bases: readonly Base[];
  readonly #members: Iterator<number>;
  readonly #plans: PlanReader;
  readonly #memory = new RecordMemory();
  readonly #models: RecordModels;
  readonly #room: ProjectionRoom;
  readonly #observer: DifferenceObserver | undefined;
  #old = new OldContent([]);
  #size = 0;
  /** Bytes of the member that are done. */
  #done = 0;
  /** Where in the old content the next copy is to be expected. */
  #expected = 0;

  constructor(bases: readonly Base[], members: readonly number[], observer: DifferenceObserver | undefined) {
    this.#bases = bases;
    this.#observer = observer;
    this.#members = members.values();
    this.#plans = new PlanReader(bases.length);
    this.#models = new RecordModels(sum(members));
    const sizes = bases.map(({ size }) => size);
    this.#room = new ProjectionRoom(sizes, members);
  }

  async *decode(segment: Segment): AsyncGenerator<Uint8Array> {
    const plans = new ByteReader(segment.plan, damagedPart('plan of a segment'));
    const streams = new Streams(segment, this.#models);
    const window = new Uint8Array(segment.size);
    this.#observer?.segment(segment);
    using _ = { [Symbol.dispose]: () => freeMemory(window) };
    let given = 0;
    for (let at = 0; at < window.length; ) {
      if (this.#done === this.#size) await this.#begin(plans);
      const first = at;
      const end = Math.min(window.length, at + this.#size - this.#done);
      const isWhole = this.#done === 0 && end - at === this.#size;
      while (at < end) {
        const step = this.#step(streams, window, at, end);
        // Waiting for nothing would cost as much as the step itself.
        at = typeof step === 'number' ? step : await step;
        for (; at - given >= OUTPUT_BYTES; given += OUTPUT_BYTES) yield window.slice(given, given + OUTPUT_BYTES);
      }
      if (isWhole) this.#old.learn(window.subarray(first, end));
    }
    streams.finish();
    this.#observer?.segmentEnd();
    if (plans.remaining > 0) throw damagedDelta('a segment has more plans than members');
    if (given < window.length) yield window.slice(given);
  }

  [Symbol.dispose](): void {
    this.#old.free();
    this.#models.free();
  }

  /** Goes on with the next member. There is one: the segments are as long as all of them. */
  async #begin(plans: ByteReader): Promise<void> {
    do this.#size = this.#members.next().value as number;
    while (this.#size === 0);
    this.#done = 0;
    this.#expected = 0;
    const { offset } = plans;
    const plan = this.#plans.read(plans);
    this.#observer?.member(plan, plans.offset - offset);
    this.#old.free();
    this.#old = await this.#oldContent(plan);
  }

  async #oldContent(plan: MemberPlan): Promise<OldContent> {
    const projected = plan.flatMap(({ index, projected }) =>
      projected === undefined ? [] : [{ size: this.#bases[index]!.size, projection: projected.projection }],
    );
    if (!this.#room.take(projected, this.#size)) throw damagedDelta('a member projects bases that are too large');
    const parts: OldPart[] = [];
    for (const base of plan) parts.push(await this.#part(base));
    return new OldContent(parts);
  }

  async #part({ index, projected }: PlannedBase): Promise<OldPart> {
    const base = this.#bases[index]!;
    if (projected !== undefined) {
      return projectedPart(await readBases([base]), projected, this.#size, this.#memory);
    }
    const most = Math.max(HELD_BASE_BYTES, Math.min(2 * this.#size, MOST_HELD_BASE_BYTES));
    if (base.size <= most) return partInMemory(await readBases([base]), true);
    return { content: base, bytes: undefined, classes: undefined, settle: undefined, learn: undefined, held: [] };
  }

  /** One literal and the copy after it, to window[at..) and not beyond `end`; gives where it ends. */
  #step(streams: Streams, window: Uint8Array, at: number, end: number): number | Promise<number> {
    const { literal, copy, seek } = streams.controls.next();
    if (literal + copy === 0 || literal + copy > end - at)
      throw damagedDelta(`a literal of ${literal} and a copy of ${copy} bytes where ${end - at} are left of a member`);
    this.#observer?.control(this.#done, streams.positions);
    streams.literals.next(window, at, at + literal);
    this.#observer?.literal(this.#done, literal, streams.positions);
    this.#done += literal;
    const next = at + literal + copy;
    if (copy === 0) return next;
    const target = window.subarray(next - copy, next);
    const from = this.#expected + seek;
    const found = from >= 0 && from < this.#old.size ? this.#old.find(from) : undefined;
    if (found === undefined || target.length > found.part.content.size - found.offset)
      throw damagedDelta(`a copy of ${target.length} bytes from ${from} of ${this.#old.size}`);
    this.#expected = from + copy;
    const { part, offset } = found;
    if (part.bytes === undefined) return this.#copyInSlices(streams, target, part, offset).then(() => next);
    target.set(part.bytes.subarray(offset, offset + copy));
    this.#addResidual(streams, target, part, offset);
    return next;
  }

  async #copyInSlices(streams: Streams, target: Uint8Array, part: OldPart, offset: number): Promise<void> {
    for (let at = 0; at < target.length; ) {
      const slice = target.subarray(at, at + SLICE_BYTES - ((offset + at) % SLICE_BYTES));
      slice.set(await part.content.read(offset + at, slice.length));
      this.#addResidual(streams, slice, part, offset + at);
      at += slice.length;
    }
  }

  #addResidual(streams: Streams, copied: Uint8Array, { classes, settle }: OldPart, oldAt: number): void {
    settle?.(copied, oldAt, this.#done);
    const predicted = this.#observer === undefined ? undefined : copied.slice();
    streams.residuals.next(copied, { classes, oldAt, newAt: this.#done });
    if (predicted !== undefined) this.#observer?.copy(this.#done, predicted, copied, streams.positions);
    this.#done += copied.length;
  }
}

class Streams {
  readonly controls: ControlDecoder;
  readonly residuals: ResidualDecoder;
  readonly literals: LiteralDecoder;

  constructor({ control, residual, literal }: Segment, models: RecordModels) {
    this.controls = new ControlDecoder(control, models);
    this.residuals = new ResidualDecoder(residual, models);
    this.literals = new LiteralDecoder(literal, models);
  }

  get positions(): StreamPositions {
    const { controls, residuals, literals } = this;
    return { control: controls.position, residual: residuals.position, literal: literals.position };
  }

  finish(): void {
    this.controls.finish();
    this.residuals.finish();
    this.literals.finish();
  }
}
