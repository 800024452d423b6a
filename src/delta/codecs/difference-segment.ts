/**
 * Segments of a `difference` record: pieces of its content that are coded apart, so that a reader holds the streams and the content of
 * one at a time. docs/formats/delta.md has the format.
 */
import { ByteWriter } from '../../core/bytes.ts';
import { MAX_SEGMENT_BYTES, MAX_SEGMENT_PLAN_BYTES, MAX_SEGMENT_STORED_BYTES } from '../../core/limits.ts';
import { damagedDelta } from '../damage.ts';
import { sum } from '../total-size.ts';
import type { StoredBytes } from './stored-bytes.ts';
import { compressFrame, decompressFrameSync, windowLogFor } from './zstd-frame.ts';

export interface Segment {
  /** Bytes of content. */
  readonly size: number;
  /** The plans of the members that begin in it, one after the other. */
  readonly plan: Uint8Array;
  readonly control: Uint8Array;
  readonly residual: Uint8Array;
  readonly literal: Uint8Array;
}

const PLAN_LEVEL = 19;

/** Plans shorter than this are not compressed: a frame would be longer. */
const MIN_COMPRESSED_PLAN_BYTES = 32;

/** undefined where a reader would not take it: content that is not worth differencing. */
export function encodeSegment({ size, plan, control, residual, literal }: Segment): Uint8Array | undefined {
  const storedPlan = packPlan(plan);
  const streams = [storedPlan, control, residual, literal];
  const lengths = streams.map(({ length }) => length);
  if (plan.length > MAX_SEGMENT_PLAN_BYTES || sum(lengths) > MAX_SEGMENT_STORED_BYTES) return undefined;
  const head = new ByteWriter(32);
  for (const number of [size, plan.length, ...lengths]) head.varint(number);
  return Buffer.concat([head.finish(), ...streams]);
}

/**
 * @param most bytes of the record's content that are left.
 * @throws OsupdError `damaged-delta`
 */
export async function readSegment(stored: StoredBytes, most: number): Promise<Segment> {
  const size = await stored.varint('the size of a segment');
  const planSize = await stored.varint('the size of a plan');
  const lengths: number[] = [];
  for (const what of ['plan', 'control numbers', 'residuals', 'literals'])
    lengths.push(await stored.varint(`the length of the ${what}`));
  if (size === 0 || size > Math.min(most, MAX_SEGMENT_BYTES)) throw damagedDelta(`a segment of ${size} bytes`);
  if (planSize > MAX_SEGMENT_PLAN_BYTES) throw damagedDelta(`a segment with a plan of ${planSize} bytes`);
  if (sum(lengths) > MAX_SEGMENT_STORED_BYTES) throw damagedDelta(`a segment of ${sum(lengths)} stored bytes`);
  const streams: Uint8Array[] = [];
  for (const length of lengths) streams.push(await stored.take(length));
  const [plan, control, residual, literal] = streams as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  return { size, plan: unpackPlan(plan, planSize), control, residual, literal };
}

function packPlan(plan: Uint8Array): Uint8Array {
  if (plan.length < MIN_COMPRESSED_PLAN_BYTES) return plan;
  const frame = compressFrame(plan, { level: PLAN_LEVEL, windowLog: windowLogFor(plan.length) });
  return frame.length < plan.length ? frame : plan;
}

/** A plan that is as long as stored is not compressed. */
function unpackPlan(stored: Uint8Array, size: number): Uint8Array {
  if (stored.length === size) return stored;
  return decompressFrameSync(stored, { rawLength: size, maxWindowLog: windowLogFor(MAX_SEGMENT_PLAN_BYTES) });
}
