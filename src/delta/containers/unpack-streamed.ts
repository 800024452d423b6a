/** Takes a file that comes in pieces apart in memory, where a delta is made. */
import { OsupdError } from '../../core/errors.ts';
import { memoryBase } from '../read-base.ts';
import type { StreamedContainer } from './container.ts';

/** @param limit bytes of all parts together. @returns undefined for what is no such file, or has more content. */
export async function unpackStreamed(
  container: StreamedContainer,
  bytes: Uint8Array,
  limit: number,
): Promise<Uint8Array[] | undefined> {
  const parts: Uint8Array[] = [];
  let left = limit;
  try {
    for await (const part of container.unpackStream(memoryBase(bytes))) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of part) {
        left -= chunk.length;
        if (left < 0) return undefined;
        chunks.push(chunk.slice());
      }
      parts.push(Buffer.concat(chunks));
    }
    return parts;
  } catch (error) {
    if (error instanceof OsupdError && error.code === 'damaged-delta') return undefined;
    throw error;
  }
}
