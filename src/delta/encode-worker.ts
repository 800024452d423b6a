/** Encodes records and images on a thread of its own. */
import { serveJobs } from '../core/workers.ts';
import type { Codec, EncodeOptions } from './codec.ts';
import { difference } from './codecs/difference.ts';
import { CODECS } from './codecs.ts';
import { memoryBase } from './read-base.ts';

export interface EncodeJob {
  readonly target: Uint8Array;
  readonly bases: readonly Uint8Array[];
  readonly options: EncodeOptions;
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

/** Dictionaries beat differencing in texts and other small files only: members of more bytes in the mean are not tried with one. */
const DICTIONARY_MEMBER_BYTES = 64 << 10;

/** The smallest result of all codecs that are worth a try; of equal ones the first. */
async function encode(job: EncodeJob): Promise<Encoded | undefined> {
  const { target, bases, options } = job;
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
    await tryAll([difference]);
    const hasSmallMembers = target.length < DICTIONARY_MEMBER_BYTES * options.members.length;
    if (isThorough || hasSmallMembers || !isGood())
      await tryAll(CODECS.filter((codec) => codec.usesBases && codec !== difference));
  }
  if (!isGood()) await tryAll(CODECS.filter((codec) => !codec.usesBases));
  return best;
}

function smaller(a: Encoded | undefined, b: Encoded | undefined): Encoded | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.stored.length < a.stored.length ? b : a;
}
