/** All codecs by name. A new one is added here, and nowhere else. */
import type { Codec } from './codec.ts';
import { brotliBase } from './codecs/brotli.ts';
import { difference } from './codecs/difference.ts';
import { unpacked } from './codecs/unpacked.ts';
import { zstd, zstdBase } from './codecs/zstd.ts';
import { unsupportedDelta } from './prologue.ts';

/** In the order in which they are tried; where two give the same size the first is taken. */
export const CODECS: readonly Codec[] = [zstd, difference, zstdBase, brotliBase, unpacked];

const BY_NAME = new Map(CODECS.map((codec) => [codec.name, codec]));

/** @throws OsupdError `unsupported` for a codec that a newer osupd has. */
export function codecNamed(name: string): Codec {
  const codec = BY_NAME.get(name);
  if (codec === undefined) throw unsupportedDelta(`the delta uses the codec "${name}"`);
  return codec;
}
