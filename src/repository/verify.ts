/** `repo verify`: everything that a device could ask for, checked as a device would check it. */

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { toOsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import { sha256Of } from '../core/sha256.ts';
import { readHead } from '../delta/head.ts';
import { decodeImage } from '../image/read.ts';
import { fsverityDigest } from '../objects/fsverity.ts';
import { type ObjectReference, objectsOf } from '../tree/references.ts';
import { type RepositoryContents, readContents, readReleaseImage, readStoredFile } from './contents.ts';
import type { DeltaEntry } from './delta-index.ts';
import { channelTarget, deltaIndexTarget, imagePath, objectPath, objectSizesPath, releaseTarget } from './layout.ts';
import { decodeObjectSizes } from './object-sizes.ts';
import { onAllCores } from './on-all-cores.ts';
import type { Release } from './release.ts';
import { RepositoryObjects } from './repository-objects.ts';
import { ROLES } from './roles.ts';
import { storedSize } from './store-objects.ts';
import { type RepositoryView, readView, requireRepository, roleMetadata } from './view.ts';

export interface VerifyOptions {
  readonly directory: string;
  readonly now: Date;
  /** A directory for the contents of large objects, one on each core at a time. */
  readonly scratch: string;
  /** Leave out what takes long: the contents of objects. */
  readonly quick: boolean;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

export interface Problem {
  /** Path of the file, or name of the target or role. */
  readonly where: string;
  readonly what: string;
}

export interface Verified {
  readonly problems: readonly Problem[];
  readonly releases: number;
  readonly channels: number;
  readonly deltas: number;
  readonly objects: number;
}

/**
 * Checks a repository: signatures and expiry, every document, image, object and delta that the signed view leads to.
 * @throws OsupdError `not-found` when there is no repository
 */
export async function verifyRepository(options: VerifyOptions): Promise<Verified> {
  await requireRepository(options.directory);
  const check = new Check(options);
  const view = await check.attempt('metadata', () => readView(options.directory));
  if (view === undefined) return check.result({ releases: 0, channels: 0, deltas: 0, objects: 0 });
  check.expiry(view);
  const contents = await readContents(options.directory, view, (error) => check.failed(error.where ?? '', error));
  const objects = new Map<Digest, ObjectReference>();
  for (const [target, release] of contents.releases) {
    await check.attempt(target, () => check.release(target, release, objects));
  }
  await check.objects([...objects.values()]);
  check.channels(contents);
  const deltas = await check.deltas(contents);
  const { releases, channels } = contents;
  return check.result({ releases: releases.size, channels: channels.size, deltas, objects: objects.size });
}

class Check {
  readonly #options: VerifyOptions;
  readonly #problems: Problem[] = [];

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  /** The problems that were found, each once. */
  result(counts: Omit<Verified, 'problems'>): Verified {
    const seen = new Map(this.#problems.map((problem) => [`${problem.where}\0${problem.what}`, problem]));
    return { problems: [...seen.values()], ...counts };
  }

  failed(where: string, error: unknown): void {
    const known = toOsupdError(error, where);
    if (known.code === 'internal' || known.code === 'interrupted') throw known;
    this.#problem(known.where ?? where, known.message);
  }

  /** What `work` gives, or undefined with a problem noted when it throws. */
  async attempt<Result>(where: string, work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      this.failed(where, error);
      return undefined;
    }
  }

  expiry(view: RepositoryView): void {
    for (const role of ROLES) {
      const { expires } = roleMetadata(view, role).signed;
      if (Date.parse(expires) <= this.#options.now.getTime()) this.#problem(role, `it expired at ${expires}`);
    }
  }

  /** A manifest against its image, its object sizes and the objects' files; collects the objects. */
  async release(target: string, release: Release, objects: Map<Digest, ObjectReference>): Promise<void> {
    const { directory } = this.#options;
    if (releaseTarget(release) !== target) this.#problem(target, `it is of ${release.name}@${release.version}`);
    const { digest, size } = release.image;
    const bytes = await readReleaseImage(directory, release);
    if (bytes.length !== size || fsverityDigest(bytes) !== digest) {
      return this.#problem(imagePath(digest), 'the image has another size or digest');
    }
    const named = objectsOf(decodeImage(bytes, imagePath(digest)));
    const total = named.reduce((sum, object) => sum + object.size, 0);
    if (named.length !== release.objects.count || total !== release.objects.bytes) {
      this.#problem(target, `the image has ${named.length} objects of ${total} bytes, not what the release says`);
    }
    const sizesFile = objectSizesPath(digest);
    const frame = await readStoredFile(directory, sizesFile, release.objects.sizes);
    const sizes = await decodeObjectSizes(frame, named.length, sizesFile);
    for (const [index, object] of named.entries()) {
      objects.set(object.digest, object);
      const stored = await storedSize(directory, object);
      if (stored !== undefined && stored !== sizes[index]) {
        this.#problem(sizesFile, `object ${object.digest} has ${stored} bytes, not ${sizes[index]}`);
      }
    }
  }

  /** Every object's file is there; its content too is what its name says, unless the check is to be quick. */
  async objects(objects: readonly ObjectReference[]): Promise<void> {
    const { directory, scratch, quick, progress, signal } = this.#options;
    const step = 'check objects';
    const store = new RepositoryObjects(directory, scratch);
    progress({ kind: 'start', step, total: objects.length, unit: 'items' });
    let done = 0;
    await onAllCores(objects, async (object) => {
      signal?.throwIfAborted();
      const path = objectPath(object.digest);
      if ((await storedSize(directory, object)) === undefined) {
        this.#problem(path, 'the object is missing or has another size');
      } else if (!quick) {
        await this.attempt(path, async () => (await store.openObject(object.digest)).close());
      }
      progress({ kind: 'advance', step, done: ++done });
    });
    progress({ kind: 'finish', step, done });
  }

  channels({ channels, releases }: RepositoryContents): void {
    for (const [target, channel] of channels) {
      if (channelTarget(channel.channel) !== target) this.#problem(target, `it is of channel ${channel.channel}`);
      for (const [name, { version }] of Object.entries(channel.releases)) {
        if (!releases.has(releaseTarget({ name, version }))) {
          this.#problem(target, `it offers ${name}@${version}, which is not published`);
        }
      }
    }
  }

  /** Returns the number of different delta files. */
  async deltas({ indexes }: RepositoryContents): Promise<number> {
    const files = new Map<string, DeltaEntry>();
    for (const [target, index] of indexes) {
      if (deltaIndexTarget(index.image) !== target) this.#problem(target, `it is of image ${index.image}`);
      for (const delta of index.deltas) files.set(delta.file, delta);
    }
    for (const [path, delta] of files) await this.attempt(path, () => this.#delta(path, delta));
    return files.size;
  }

  async #delta(path: string, { size, head, from, to }: DeltaEntry): Promise<void> {
    await using file = await open(join(this.#options.directory, path), 'r');
    const found = (await file.stat()).size;
    if (found !== size) return this.#problem(path, `it has ${found} bytes, not ${size}`);
    const bytes = Buffer.alloc(head.size);
    const { bytesRead } = await file.read(bytes, 0, head.size, 0);
    if (sha256Of(bytes.subarray(0, bytesRead)) !== head.sha256) {
      return this.#problem(path, 'its head is not what the index says');
    }
    const inside = readHead(bytes);
    if (inside.size + inside.payloadSize !== size) this.#problem(path, 'its header says another size');
    if (`${inside.from} ${inside.to}` !== `${from} ${to}`) this.#problem(path, 'it is between other images');
  }

  #problem(where: string, what: string): void {
    this.#problems.push({ where, what });
  }
}
