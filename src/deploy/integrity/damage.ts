/** What is known of damage without reading contents: for `osupd status`. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, isDigest } from '../../core/digest.ts';
import { isSystemError, OsupdError } from '../../core/errors.ts';
import { decodeImage } from '../../image/read.ts';
import type { Pool } from '../../objects/pool.ts';
import { type ObjectReference, objectsOf } from '../../tree/references.ts';
import type { DeployedImage } from '../deployment-files.ts';
import { measureFile } from '../object-verity.ts';
import type { FullRound, IntegrityRecord, RunningRound } from './record.ts';

/** Who notices that content has changed on the disk, and what was found. */
export interface IntegrityStatus {
  /** True when the kernel checks every read of the pool (fs-verity); null where that cannot be said, for want of rights or of images. */
  readonly everyRead: boolean | null;
  /** The last time that everything was read and compared; null for never. */
  readonly verified: FullRound | null;
  /** A verification in the background that goes on with its next run. */
  readonly running: Omit<RunningRound, 'position'> | null;
  /** Objects and images that are known to be damaged, and are not repaired yet. */
  readonly damaged: number;
}

export function integrityStatus(pool: Pool, { verified, running, damaged }: IntegrityRecord): IntegrityStatus {
  const { position: _, ...round } = running ?? { position: '' };
  return {
    everyRead: isSealed(pool),
    verified: verified ?? null,
    running: 'startedAt' in round ? round : null,
    damaged: damaged.length,
  };
}

/** One image stands for all files: they are sealed when they are written, or the file system cannot. */
function isSealed(pool: Pool): boolean | null {
  try {
    const image = readdirSync(pool.imagesDirectory).find(isDigest);
    return image === undefined ? null : measureFile(join(pool.imagesDirectory, image)) !== undefined;
  } catch (error) {
    // Without root the pool is closed.
    if (isSystemError(error, 'EACCES') || (error instanceof OsupdError && isSystemError(error.cause, 'EACCES')))
      return null;
    throw error;
  }
}

/** Looks whether images and objects are there with the right size, each once, and into the record of what was read. */
export class DamageFinder {
  readonly #pool: Pool;
  readonly #known: ReadonlySet<Digest>;
  readonly #images = new Map<Digest, string | undefined>();

  constructor(pool: Pool, record: IntegrityRecord) {
    this.#pool = pool;
    this.#known = new Set(record.damaged.map(({ digest }) => digest));
  }

  /** What is wrong with the images of a deployment, in words; undefined for nothing that is known. */
  of(images: readonly DeployedImage[]): string | undefined {
    const found = images.flatMap(({ name, digest }) => {
      if (!this.#images.has(digest)) this.#images.set(digest, this.#look(digest));
      const damage = this.#images.get(digest);
      return damage === undefined ? [] : [images.length > 1 ? `${name}: ${damage}` : damage];
    });
    return found.length === 0 ? undefined : found.join(', ');
  }

  #look(image: Digest): string | undefined {
    try {
      const path = this.#pool.imagePath(image);
      if (!this.#pool.hasImage(image)) return 'the image is missing';
      // The image itself is not hashed here: one that is damaged in its structure does not decode.
      const objects = objectsOf(decodeImage(readFileSync(path), path));
      if (this.#known.has(image)) return 'the image is damaged';
      const bad = objects.filter((reference) => this.#isBad(reference));
      return bad.length === 0 ? undefined : `${bad.length} of ${objects.length} objects are missing or damaged`;
    } catch (error) {
      if (error instanceof OsupdError && error.code === 'damaged-image') return 'the image is damaged';
      // Without root the pool is closed: nothing is known.
      if (isSystemError(error, 'EACCES') || (error instanceof OsupdError && error.code === 'io')) return undefined;
      throw error;
    }
  }

  #isBad({ digest, size }: ObjectReference): boolean {
    return !this.#pool.hasObject(digest, size) || this.#known.has(digest);
  }
}
