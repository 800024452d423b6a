/** The frames that a repository serves are read by a decoder that is not the runtime's: zstd compiled to WebAssembly. */

import { describe, expect, it } from 'vitest';
import { ZstdCodec } from 'zstd-codec';
import { collect } from '../../src/core/bytes.ts';
import { compressBytes, compressStream, MAX_EFFORT } from '../../src/repository/zstd.ts';

const decoder = await new Promise<{ decompress(frame: Uint8Array): Uint8Array | null }>((resolve) => {
  ZstdCodec.run((zstd) => resolve(new zstd.Simple()));
});

/** Text that repeats with changes, so that frames hold matches of all lengths as well as literals. */
function content(bytes: number): Buffer {
  const lines: string[] = [];
  for (let at = 0, length = 0; length < bytes; at++) {
    const line = `${at} ${(at * 2654435761) % 4294967296} the same words again ${at % 7}\n`;
    length += line.length;
    lines.push(line);
  }
  return Buffer.from(lines.join('')).subarray(0, bytes);
}

describe('a decoder of its own', () => {
  it.each([1, 100, 4096, 70_000, 1_000_000])('reads an object of %i bytes at every effort', async (bytes) => {
    const original = content(bytes);
    for (let effort = 1; effort <= MAX_EFFORT; effort++) {
      const frame = await compressBytes(original, effort);
      expect(Buffer.compare(decoder.decompress(frame) ?? Buffer.alloc(0), original), `effort ${effort}`).toBe(0);
    }
  });

  it('reads what was compressed as a stream', async () => {
    const original = content(500_000);
    const pieces = (async function* () {
      for (let at = 0; at < original.length; at += 77_777) yield original.subarray(at, at + 77_777);
    })();
    const frame = await collect(compressStream(pieces, original.length, 6));
    expect(Buffer.compare(decoder.decompress(frame) ?? Buffer.alloc(0), original)).toBe(0);
  });
});
