/** Decodes the pieces of zstd frames in their order, for zstd-portable.ts. */
import { type DecompressStream, run } from 'zstd-codec/lib/module.js';
import { serveJobs } from '../core/workers.ts';
import type { ZstdPiece } from './zstd-frames.ts';

const Stream = await new Promise<new () => DecompressStream>((resolve) => {
  run((binding) => resolve(binding.ZstdDecompressStreamBinding));
});

/**
 * The stream of the frame that has begun. Each frame has its own: to delete it leaves the decoder's memory as it was, while one stream
 * for all leaves it in parts, and after small windows a large one finds no room.
 */
let stream: DecompressStream | undefined;

serveJobs<ZstdPiece, Uint8Array<ArrayBuffer>[] | undefined>(
  ({ bytes, last }) => {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    const keep = (part: Uint8Array<ArrayBuffer>) => parts.push(part);
    if (stream === undefined) {
      stream = new Stream();
      if (!stream.begin()) return undefined;
    }
    if (!stream.transform(bytes, keep)) return undefined;
    if (!last) return parts;
    if (!stream.end(keep)) return undefined;
    stream.delete();
    stream = undefined;
    return parts;
  },
  (parts) => parts?.map((part) => part.buffer) ?? [],
);
