/** Encodes records and images on a thread of its own. */
import { serveJobs } from '../core/workers.ts';
import type { EncodeOptions } from './codec.ts';
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

/** The smallest result of all codecs; of equal ones the first. */
async function encode(job: EncodeJob): Promise<Encoded | undefined> {
  const based = job.bases.length > 0 ? await smallest(job, true) : undefined;
  if (based !== undefined && based.stored.length < job.target.length * GOOD_ENOUGH) return based;
  return smaller(based, await smallest(job, false));
}

async function smallest({ target, bases, options }: EncodeJob, usesBases: boolean): Promise<Encoded | undefined> {
  let best: Encoded | undefined;
  for (const codec of CODECS) {
    if (codec.usesBases !== usesBases) continue;
    const stored = await codec.encode(target, usesBases ? bases.map(memoryBase) : [], options);
    // A copy: what a codec gives may lie in a buffer that is shared or larger.
    if (stored !== undefined) best = smaller(best, { codec: codec.name, stored: Uint8Array.from(stored) });
  }
  return best;
}

function smaller(a: Encoded | undefined, b: Encoded | undefined): Encoded | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.stored.length < a.stored.length ? b : a;
}
