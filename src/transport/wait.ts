/** Pauses that a signal ends early. */
import { setTimeout as pause } from 'node:timers/promises';
import { stopped } from './source.ts';

/** Waits. @throws OsupdError `interrupted` when the signal comes first. */
export async function waitFor(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await pause(milliseconds, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted) throw stopped(signal);
    throw error;
  }
}
