/** Shares out the stored bytes of one `difference` record while it is decoded. */
import type { DifferenceObserver, StreamPositions } from '../codecs/difference-observer.ts';
import type { MemberPlan } from '../codecs/difference-plan.ts';
import type { Segment } from '../codecs/difference-segment.ts';
import type { SectionCost, SectionedMember } from './section-costs.ts';

type Stream = keyof SectionCost['stored'];

const NOTHING: StreamPositions = { control: 0, residual: 0, literal: 0 };

/** What a byte that is equal costs of one that differs: coders spend next to nothing on long runs of them. */
const EQUAL_WEIGHT = 1 / 1024;

/** Where plans are counted: they are of a whole file. */
const PLANS = '(plans)';

/** A part of a member that lies in one section. */
interface Piece {
  readonly cost: SectionCost;
  readonly from: number;
  readonly to: number;
}

export class RecordObserver implements DifferenceObserver {
  readonly #members: Iterator<SectionedMember>;
  readonly #costOf: (kind: string, section: string) => SectionCost;
  #member: SectionedMember | undefined;
  #segment: Segment | undefined;
  #spent: StreamPositions = NOTHING;
  /** Bytes of plans and of what is around the streams. */
  #planBytes: number;
  readonly #shares: Record<Stream, Shares> = {
    plan: new Shares('plan'),
    control: new Shares('control'),
    residual: new Shares('residual'),
    literal: new Shares('literal'),
  };

  constructor(
    members: readonly SectionedMember[],
    stored: number,
    costOf: (kind: string, section: string) => SectionCost,
  ) {
    this.#members = members.values();
    this.#planBytes = stored;
    this.#costOf = costOf;
  }

  segment(segment: Segment): void {
    this.#segment = segment;
    this.#spent = NOTHING;
  }

  member(_plan: MemberPlan, planBytes: number): void {
    this.#member = this.#members.next().value;
    if (this.#member !== undefined) this.#shares.plan.add(this.#costOf(this.#member.kind, PLANS), planBytes, 1);
  }

  control(offset: number, spent: StreamPositions): void {
    const bytes = spent.control - this.#spent.control;
    for (const { cost } of this.#pieces(offset, 1)) this.#shares.control.add(cost, bytes, 1);
    this.#spent = spent;
  }

  literal(offset: number, length: number, spent: StreamPositions): void {
    const bytes = spent.literal - this.#spent.literal;
    for (const { cost, from, to } of this.#pieces(offset, length)) {
      cost.literal += to - from;
      this.#shares.literal.add(cost, (bytes * (to - from)) / length, to - from);
    }
    this.#spent = spent;
  }

  copy(offset: number, predicted: Uint8Array, actual: Uint8Array, spent: StreamPositions): void {
    const bytes = spent.residual - this.#spent.residual;
    const differing = countDiffering(predicted, actual, 0, actual.length);
    for (const { cost, from, to } of this.#pieces(offset, actual.length)) {
      const count = countDiffering(predicted, actual, from - offset, to - offset);
      cost.copied += to - from;
      cost.differing += count;
      const weight = weightOf(count, to - from);
      this.#shares.residual.add(cost, (bytes * weight) / weightOf(differing, actual.length), weight);
    }
    this.#spent = spent;
  }

  /** Now the streams' lengths are known for certain. */
  segmentEnd(): void {
    for (const stream of ['control', 'residual', 'literal'] as const) {
      const { length } = this.#segment![stream];
      if (this.#shares[stream].divide(length)) this.#planBytes -= length;
    }
  }

  finish(): void {
    this.#shares.plan.divide(this.#planBytes);
  }

  *#pieces(offset: number, length: number): Generator<Piece> {
    const { kind, sections } = this.#member!;
    const { ends, names } = sections;
    const end = offset + length;
    let index = firstEndAfter(ends, offset);
    for (let from = offset; from < end; index++) {
      const to = Math.min(end, ends[index]!);
      yield { cost: this.#costOf(kind, names[index]!), from, to };
      from = to;
    }
  }
}

/** What sections have of one stream. */
class Shares {
  readonly #stream: Stream;
  /** What the decoder has told, and what is as good a guess as any where it tells nothing: streams of other compressors. */
  readonly #shares = new Map<SectionCost, { read: number; assumed: number }>();

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  /** Weights, in units that are the same throughout the stream. */
  add(cost: SectionCost, read: number, assumed: number): void {
    const share = this.#shares.get(cost);
    if (share === undefined) this.#shares.set(cost, { read, assumed });
    else {
      share.read += read;
      share.assumed += assumed;
    }
  }

  /** Divides stored bytes by the weights so far, and begins anew. False where nobody has a share: a stream of nothing may have a byte. */
  divide(bytes: number): boolean {
    if (this.#shares.size === 0) return false;
    const shares = [...this.#shares];
    const sum = (unit: 'read' | 'assumed') => shares.reduce((total, [, share]) => total + share[unit], 0);
    const unit = sum('read') > 0 ? 'read' : 'assumed';
    const total = sum(unit);
    for (const [{ stored }, share] of shares) stored[this.#stream] += (bytes * share[unit]) / total;
    this.#shares.clear();
    return true;
  }
}

function weightOf(differing: number, length: number): number {
  return differing + length * EQUAL_WEIGHT;
}

function countDiffering(predicted: Uint8Array, actual: Uint8Array, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to; at++) if (predicted[at] !== actual[at]) count++;
  return count;
}

/** Index of the first of some rising numbers that is larger. */
function firstEndAfter(ends: readonly number[], offset: number): number {
  let low = 0;
  let high = ends.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ends[middle]! <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
