/** Checks an image file: that it can be read, that it is what composefs writes of its tree, and that it has its digest. */
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import { fsverityDigest } from '../objects/fsverity.ts';
import type { Tree } from '../tree/tree.ts';
import { explainRanges } from './explain.ts';
import type { FormatVersion } from './format.ts';
import { ImageReader } from './read.ts';
import { encodeImage } from './write.ts';

export interface ImageProblem {
  /** `damaged`: cannot be read; `not-canonical`: can be read, but composefs would not write it so; `wrong-digest`. */
  readonly kind: 'damaged' | 'not-canonical' | 'wrong-digest';
  readonly what: string;
  /** Byte of the image where it shows. */
  readonly offset?: number;
}

export interface CheckOptions {
  /** The digest that the image should have. */
  readonly digest?: Digest;
}

/** Fields that are listed one by one where many differ. */
const MAX_LISTED = 20;

/** Everything that is wrong with an image; nothing for one that osupd or mkcomposefs wrote. */
export function checkImage(bytes: Uint8Array, options: CheckOptions = {}): ImageProblem[] {
  const problems: ImageProblem[] = [];
  const digest = options.digest === undefined ? undefined : fsverityDigest(bytes);
  if (digest !== options.digest)
    problems.push({ kind: 'wrong-digest', what: `the digest is ${digest}, not ${options.digest}` });
  try {
    const { superblock, tree } = new ImageReader(bytes, undefined).read();
    problems.push(...compareWithOwn(bytes, tree, superblock.version));
  } catch (error) {
    if (!(error instanceof OsupdError) || error.code !== 'damaged-image') throw error;
    const { what, offset } = error.facts;
    problems.push({
      kind: 'damaged',
      what: typeof what === 'string' ? what : error.message,
      ...(typeof offset === 'number' ? { offset } : {}),
    });
  }
  return problems;
}

/** What differs between an image and the one that its tree gives. */
function compareWithOwn(bytes: Uint8Array, tree: Tree, version: FormatVersion): ImageProblem[] {
  const kind = 'not-canonical';
  let own: Buffer;
  try {
    own = encodeImage(tree, { minVersion: version, maxVersion: version });
  } catch (error) {
    if (!(error instanceof OsupdError)) throw error;
    return [{ kind, what: `composefs would not write this tree: ${error.where ?? ''}: ${error.message}` }];
  }
  if (own.equals(bytes)) return [];
  if (own.length !== bytes.length)
    return [{ kind, what: `composefs would write ${own.length} bytes for this tree, not ${bytes.length}` }];
  const problems: ImageProblem[] = [];
  let more = 0;
  for (const { at, bytes: length, section, name } of explainRanges(bytes)) {
    const end = at + length;
    if (own.compare(bytes, at, end, at, end) === 0) continue;
    if (problems.length === MAX_LISTED) {
      more++;
      continue;
    }
    let offset = at;
    while (own[offset] === bytes[offset]) offset++;
    problems.push({ kind, what: `${name} of ${section} is not what composefs writes`, offset });
  }
  if (more > 0) problems.push({ kind, what: `and ${more} more fields` });
  return problems;
}
