/**
 * The codec `difference`: each member is copied from its bases, byte for byte or nearly so, with reference projection where the files
 * are of a known kind.
 */
import { MAX_DIFFERENCED_BYTES, MAX_PROJECTED_BYTES, MAX_SEGMENT_BYTES } from '../../core/limits.ts';
import type { Base, Codec } from '../codec.ts';
import { readBases } from '../read-base.ts';
import { sum, totalSize } from '../total-size.ts';
import { decodeDifference } from './difference-decode.ts';
import { encodeDifference } from './difference-encode.ts';

/** A base, what a projection makes of it, the classes of its bytes, and tables of what is in it. */
const PROJECTION_FACTOR = 3;

/** Tables of the coders, and how they grow with a record's content. */
const MAX_MODELS_BYTES = 5 << 20;
const MODELS_FACTOR = 20;

export const difference: Codec = {
  name: 'difference',
  usesBases: true,
  async encode(target, bases, { effort, members, basesOf }) {
    if (bases.length === 0 || totalSize(bases) + target.length > MAX_DIFFERENCED_BYTES) return undefined;
    const held: Uint8Array[] = [];
    for (const base of bases) held.push(await readBases([base]));
    return encodeDifference({ target, bases: held, members, basesOf }, effort);
  },
  decodingMemory(bases, members) {
    const held = Math.min(largest(bases), MAX_PROJECTED_BYTES);
    const content = sum(members);
    const models = Math.min(MODELS_FACTOR * content, MAX_MODELS_BYTES);
    return PROJECTION_FACTOR * held + Math.min(largest(members), MAX_SEGMENT_BYTES) + models;
  },
  decode(stored, bases: readonly Base[], members) {
    return decodeDifference(stored, bases, members);
  },
};

function largest(sizes: readonly number[]): number {
  return sizes.reduce((most, size) => Math.max(most, size), 0);
}
