/** Work that the runtime does on threads of its own (compression, reading), a few items at a time. */
import { availableParallelism } from 'node:os';

/** Does the work for all items, as many at once as there are cores; the first failure stops the rest and is thrown. */
export async function onAllCores<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const failure = new AbortController();
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) {
      if (failure.signal.aborted) return;
      await work(item);
    }
  };
  const workers = Array.from({ length: availableParallelism() }, () => worker().catch((error) => failure.abort(error)));
  await Promise.all(workers);
  failure.signal.throwIfAborted();
}
