/** Sketches contents on a thread of its own. */
import { serveJobs } from '../core/workers.ts';
import { type Sketch, sketchOf } from './sketch.ts';

export interface SketchJob {
  /** The slices, one after the other. */
  readonly bytes: Uint8Array;
  /** Lengths in bytes. */
  readonly slices: readonly { readonly length: number; readonly spacing: number }[];
}

serveJobs(
  ({ bytes, slices }: SketchJob): Sketch[] => {
    let at = 0;
    return slices.map(({ length, spacing }) => {
      const slice = bytes.subarray(at, at + length);
      at += length;
      return sketchOf(slice, spacing);
    });
  },
  (sketches) =>
    sketches.flatMap(({ hashes, rarities }) => [hashes.buffer as ArrayBuffer, rarities.buffer as ArrayBuffer]),
);
