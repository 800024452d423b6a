/** What whoever wants to know where the bytes of a `difference` record go is told while it is decoded. */
import type { MemberPlan } from './difference-plan.ts';
import type { Segment } from './difference-segment.ts';

/** Bytes of the streams of a segment that have been read so far, as far as their coders can tell. */
export interface StreamPositions {
  readonly control: number;
  readonly residual: number;
  readonly literal: number;
}

/** Offsets are in the content of the member. Events come in the order of the content. */
export interface DifferenceObserver {
  segment(segment: Segment): void;
  /** @param planBytes length of the plan before compression. */
  member(plan: MemberPlan, planBytes: number): void;
  /** Numbers that say what follows at `offset`: a literal and a copy. */
  control(offset: number, spent: StreamPositions): void;
  literal(offset: number, length: number, spent: StreamPositions): void;
  /** A copy, or a slice of it. Both arrays are valid during the call. */
  copy(offset: number, predicted: Uint8Array, actual: Uint8Array, spent: StreamPositions): void;
  segmentEnd(): void;
}
