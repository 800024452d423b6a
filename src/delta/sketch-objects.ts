/** Sketches many objects: reads them here, samples them on all cores, and holds only a few slices of content at a time. */
import { WorkerPool, workerModule } from '../core/workers.ts';
import type { ObjectReference } from '../tree/references.ts';
import { type ObjectReader, openExactly } from './object-reader.ts';
import { joinSketches, type Sketch, spacingFor } from './sketch.ts';
import type { SketchJob } from './sketch-worker.ts';

/** Content that is given to a thread at once. Larger objects are cut, several smaller ones go together. */
const SLICE_BYTES = 2 << 20;

/** Jobs for each thread, so that the next is read while one runs. */
const JOBS_A_THREAD = 2;

/** The first bytes of an object that are kept: what tells a format. */
const HEAD_BYTES = 32;

const NO_BYTES = new Uint8Array(0);

export interface SketchedObject {
  readonly sketch: Sketch;
  /** The first bytes of the content. */
  readonly head: Uint8Array;
}

interface Slice {
  /** Index of the object. */
  readonly index: number;
  readonly offset: number;
  readonly length: number;
}

export interface SketchOptions {
  readonly store: ObjectReader;
  /** Number of threads; all cores by default. */
  readonly workers: number | undefined;
  /** Takes each object's sketch, in no particular order. */
  readonly take: (index: number, sketched: SketchedObject) => void;
  /** Is told the bytes of each piece of work that was done. */
  readonly advance: (bytes: number) => void;
}

/** @throws OsupdError what the store throws. */
export async function sketchObjects(objects: readonly ObjectReference[], options: SketchOptions): Promise<void> {
  const { store, workers, take, advance } = options;
  const pool = new WorkerPool<SketchJob, Sketch[]>(
    workerModule(import.meta.url, './sketch-worker'),
    workers === undefined ? {} : { size: workers },
  );
  const begun = new Map<number, { head: Uint8Array; sketches: Sketch[]; missing: number }>();
  const run = async (batch: readonly Slice[]) => {
    const bytes = await readSlices(batch, objects, store);
    let at = 0;
    for (const { index, offset, length } of batch) {
      if (!begun.has(index)) begun.set(index, { head: NO_BYTES, sketches: [], missing: objects[index]!.size });
      if (offset === 0) begun.get(index)!.head = bytes.slice(at, at + Math.min(length, HEAD_BYTES));
      at += length;
    }
    const slices = batch.map(({ index, length }) => ({ length, spacing: spacingFor(objects[index]!.size) }));
    const sketches = await pool.run({ bytes, slices }, [bytes.buffer]);
    for (const [number, { index, length }] of batch.entries()) {
      const object = begun.get(index)!;
      object.sketches.push(sketches[number]!);
      object.missing -= length;
      if (object.missing > 0) continue;
      begun.delete(index);
      // The slices come back in any order: a sketch is a set.
      take(index, { sketch: joinSketches(object.sketches), head: object.head });
    }
    advance(at);
  };
  try {
    const batches = batchesOf(objects);
    const runner = async () => {
      for (let next = batches.next(); !next.done; next = batches.next()) await run(next.value);
    };
    await Promise.all(Array.from({ length: pool.size * JOBS_A_THREAD }, runner));
  } finally {
    await pool.close();
  }
}

function* batchesOf(objects: readonly ObjectReference[]): Generator<Slice[]> {
  let batch: Slice[] = [];
  let bytes = 0;
  for (const [index, { size }] of objects.entries()) {
    for (let offset = 0; offset < size; offset += SLICE_BYTES) {
      const length = Math.min(SLICE_BYTES, size - offset);
      if (bytes + length > SLICE_BYTES) {
        yield batch;
        batch = [];
        bytes = 0;
      }
      batch.push({ index, offset, length });
      bytes += length;
    }
  }
  if (batch.length > 0) yield batch;
}

async function readSlices(
  batch: readonly Slice[],
  objects: readonly ObjectReference[],
  store: ObjectReader,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(batch.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const { index, offset, length } of batch) {
    await using object = await openExactly(store, objects[index]!);
    bytes.set(await object.read(offset, length), at);
    at += length;
  }
  return bytes;
}
