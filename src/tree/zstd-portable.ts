/** Reads zstd where the runtime cannot: zstd in WebAssembly, on a thread of its own. */
import { WorkerPool, workerModule } from '../core/workers.ts';
import type { Refuse } from './tar-header.ts';
import { type ZstdPiece, zstdPieces } from './zstd-frames.ts';

/**
 * The content of all frames of `compressed`. It takes the decoder's 16 MiB and a few more for what is on its way, however large
 * the content. The thread is not used again, as the decoder is of no use after some failures.
 * @throws OsupdError made by `refuse` for what {@link zstdPieces} refuses and for damaged data; errors of `compressed` pass
 * through.
 */
export async function* decodeZstdPortably(
  compressed: AsyncIterable<Uint8Array>,
  refuse: Refuse,
): AsyncGenerator<Uint8Array> {
  const module = workerModule(import.meta.url, './zstd-portable-worker');
  const thread = new WorkerPool<ZstdPiece, Uint8Array[] | undefined>(module, { size: 1 });
  try {
    for await (const piece of zstdPieces(compressed, refuse)) {
      const content = await thread.run(piece);
      if (content === undefined) throw refuse('damaged');
      yield* content;
    }
  } finally {
    await thread.close();
  }
}
