/** Encodes records and images on a thread of its own. */
import { serveJobs } from '../core/workers.ts';
import type { Codec, EncodeOptions } from './codec.ts';
import { difference } from './codecs/difference.ts';
import { zstdBase } from './codecs/zstd.ts';
import { CODECS } from './codecs.ts';
import type { Kind } from './kinds.ts';
import { memoryBase } from './read-base.ts';

export interface EncodeJob {
  readonly target: Uint8Array;
  readonly bases: readonly Uint8Array[];
  readonly options: EncodeOptions;
  readonly kind: Kind;
}

export interface Encoded {
  /** Name of the codec. */
  readonly codec: string;
  readonly stored: Uint8Array;
}

/** What comes below this part of the content's size with its bases is hardly smaller without them: that is not tried. */
const GOOD_ENOUGH = 1 / 4;

serveJobs(encode, (encoded) => (encoded === undefined ? [] : [encoded.stored.buffer as ArrayBuffer]));

/** From this effort on every codec is tried. */
const THOROUGH_EFFORT = 8;

/** What a dictionary does better than differencing, or as well and with less to decode. In ELF files it never does. */
const DICTIONARY_KINDS: ReadonlySet<Kind> = new Set(['compressed', 'initrd', 'other']);

/** What is compressed inside has nothing in common but whole strings: these are found by zstd, which is fast to make and to apply. */
const PACKED_KINDS: ReadonlySet<Kind> = new Set(['compressed', 'initrd']);

/** The smallest result of all codecs that are worth a try; of equal ones the first. */
async function encode(job: EncodeJob): Promise<Encoded | undefined> {
  const { target, bases, options, kind } = job;
  let best: Encoded | undefined;
  const tryAll = async (codecs: readonly Codec[]) => {
    for (const codec of codecs) {
      const stored = await codec.encode(target, codec.usesBases ? bases.map(memoryBase) : [], options);
      // A copy: what a codec gives may lie in a buffer that is shared or larger.
      if (stored !== undefined) best = smaller(best, { codec: codec.name, stored: Uint8Array.from(stored) });
    }
  };
  const isThorough = options.effort >= THOROUGH_EFFORT;
  const isGood = () => best !== undefined && best.stored.length < target.length * GOOD_ENOUGH;
  if (bases.length > 0) {
    const isPacked = PACKED_KINDS.has(kind);
    await tryAll([isPacked ? zstdBase : difference]);
    if (isThorough || (!isPacked && (DICTIONARY_KINDS.has(kind) || !isGood())))
      await tryAll(CODECS.filter((codec) => codec.usesBases && codec !== (isPacked ? zstdBase : difference)));
  }
  if (!isGood()) await tryAll(CODECS.filter((codec) => !codec.usesBases));
  return best;
}

function smaller(a: Encoded | undefined, b: Encoded | undefined): Encoded | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.stored.length < a.stored.length ? b : a;
}
