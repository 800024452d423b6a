/** Encodes records and images on a thread of its own. */
import { serveJobs } from '../core/workers.ts';
import type { Codec, EncodeOptions } from './codec.ts';
import { difference } from './codecs/difference.ts';
import { unpacked } from './codecs/unpacked.ts';
import { zstdBase } from './codecs/zstd.ts';
import { CODECS } from './codecs.ts';
import { type Kind, PACKED_KINDS } from './kinds.ts';
import { memoryBase } from './read-base.ts';

export interface EncodeJob {
  readonly target: Uint8Array;
  readonly bases: readonly Uint8Array[];
  readonly options: EncodeOptions;
  readonly kind: ContentKind;
}

/** An image is coded too: its columns, or itself. */
export type ContentKind = Kind | 'image';

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

/**
 * What is compressed inside has nothing in common but whole strings, and columns of images are made to be nothing else: these are found by
 * zstd, which is fast to make and to apply. The others gain less than 1 % there.
 */
const PLAIN_KINDS: ReadonlySet<ContentKind> = new Set(['compressed', 'image', 'initrd']);

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
    const plain = PLAIN_KINDS.has(kind) ? zstdBase : difference;
    const first = PACKED_KINDS.has(kind) ? unpacked : plain;
    await tryAll([first]);
    // Bases that no member names are files in its archives: only one codec knows what to do with them.
    const named = new Set(options.basesOf.flat());
    const usable = CODECS.filter((codec) => codec.usesBases && (codec === unpacked || named.size === bases.length));
    if (best === undefined && first !== plain && usable.includes(plain)) await tryAll([plain]);
    const others = usable.filter((codec) => codec !== first);
    // In texts a dictionary often beats differencing, in ELF files never; and content too large for one may not be for another.
    const mayBeSmaller = first === difference ? kind === 'other' || !isGood() : best === undefined;
    if (isThorough || mayBeSmaller) await tryAll(others);
  }
  if (!isGood()) await tryAll(CODECS.filter((codec) => !codec.usesBases));
  return best;
}

function smaller(a: Encoded | undefined, b: Encoded | undefined): Encoded | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.stored.length < a.stored.length ? b : a;
}
