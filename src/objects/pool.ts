/**
 * The pool: a directory that holds the content of files, each once, under its fs-verity digest, and the metadata images
 * that name them. The same layout on server and device; docs/pool.md describes it.
 *
 *     objects/ab/cdef…   content of a regular file; the name is the digest (composefs' layout)
 *     images/DIGEST      a metadata image, there only when every object it names is (I1)
 *     staging/           unfinished work (staging.ts); nothing in it counts
 */
import { closeSync, existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Digest, isDigest, objectName } from '../core/digest.ts';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import { MAX_IMAGE_BYTES } from '../core/limits.ts';
import { syncDirectory, syncFileSystem } from '../sys/durable.ts';
import { fsverityDigest } from './fsverity.ts';
import { keepWhileUsed } from './replaced-files.ts';
import { sealFiles } from './seal-files.ts';
import { createStaged } from './staged-file.ts';
import { openStagingArea } from './staging.ts';

const PARTS = ['objects', 'images', 'staging'];

/** An object that is open for reading. */
export interface OpenObject extends AsyncDisposable {
  readonly digest: Digest;
  readonly path: string;
  readonly size: number;
  /** Exactly `length` bytes from `offset`, in a fresh buffer. @throws OsupdError `damaged-store` past the end. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

export class Pool {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Makes the directories that are not there yet, durably. */
  static async create(directory: string): Promise<Pool> {
    try {
      const first = mkdirSync(directory, { recursive: true });
      if (first !== undefined) syncDirectory(dirname(first));
      let changed = false;
      // Contents of files that only root may read in the tree must not be readable in the pool.
      for (const name of PARTS) changed = makeDirectory(join(directory, name), 0o700) || changed;
      if (changed) syncDirectory(directory);
    } catch (error) {
      throw toOsupdError(error, directory);
    }
    return new Pool(directory);
  }

  /** @throws OsupdError `not-found` when the directory is no pool. */
  static async open(directory: string): Promise<Pool> {
    for (const name of PARTS) {
      if (existsSync(join(directory, name))) continue;
      throw new OsupdError('not-found', `not an object pool: it has no directory "${name}"`, {
        where: directory,
        remedy: 'name the directory that "osupd build --pool" or "osupd init --root" made',
      });
    }
    return new Pool(directory);
  }

  get objectsDirectory(): string {
    return join(this.directory, 'objects');
  }

  get imagesDirectory(): string {
    return join(this.directory, 'images');
  }

  get stagingDirectory(): string {
    return join(this.directory, 'staging');
  }

  objectPath(digest: Digest): string {
    return `${this.directory}/objects/${objectName(digest)}`;
  }

  imagePath(digest: Digest): string {
    return `${this.directory}/images/${digest}`;
  }

  /** True when the object is there; with `size` (bytes) only when it also has that length. */
  hasObject(digest: Digest, size?: number): boolean {
    const found = statSync(this.objectPath(digest), { throwIfNoEntry: false });
    return found !== undefined && (size === undefined || found.size === size);
  }

  /** @throws OsupdError `io` where this process may not look: that says nothing of the image. */
  hasImage(digest: Digest): boolean {
    const path = this.imagePath(digest);
    try {
      return statSync(path, { throwIfNoEntry: false }) !== undefined;
    } catch (error) {
      throw toOsupdError(error, path);
    }
  }

  /** An image's bytes, checked against its name. @throws OsupdError `not-found`, `damaged-store`. */
  async readImage(digest: Digest): Promise<Buffer> {
    const path = this.imagePath(digest);
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined)
      throw new OsupdError('not-found', 'this image is not in the pool', { where: path, facts: { image: digest } });
    const bytes = size > MAX_IMAGE_BYTES ? undefined : await readBytes(path);
    if (bytes !== undefined && fsverityDigest(bytes) === digest) return bytes;
    throw new OsupdError('damaged-store', 'the image does not have the content of its name', {
      where: path,
      remedy: 'run "osupd fsck --repair"',
      facts: { image: digest },
    });
  }

  /** @throws OsupdError `damaged-store` when it is missing: a pool's images vouch for the objects they name. */
  openObject(digest: Digest): Promise<OpenObject> {
    return openObjectAt(this.objectPath(digest), digest);
  }

  /** Every file with the name of an object, in the order of the names. */
  async *listObjects(): AsyncGenerator<{ digest: Digest; size: number }> {
    const prefixes = readdirSync(this.objectsDirectory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    for (const prefix of prefixes.map(({ name }) => name).sort()) {
      if (!/^[0-9a-f]{2}$/.test(prefix)) continue;
      for (const rest of readdirSync(join(this.objectsDirectory, prefix)).sort()) {
        const digest = prefix + rest;
        // One that a sweep removes meanwhile is not listed.
        const found = isDigest(digest) ? statSync(this.objectPath(digest), { throwIfNoEntry: false }) : undefined;
        if (found !== undefined) yield { digest: digest as Digest, size: found.size };
      }
    }
  }

  /** Digests of all images, sorted. */
  async listImages(): Promise<Digest[]> {
    return readdirSync(this.imagesDirectory).filter(isDigest).sort();
  }

  /**
   * Adds an image, durably and in one step. Every object that it names must be in the pool before; whoever brought one, its
   * name is made durable here (I1).
   * @throws OsupdError `verification-failed` when `digest` is not that of `bytes`; `no-space`.
   */
  async addImage(bytes: Uint8Array, digest: Digest): Promise<void> {
    const computed = fsverityDigest(bytes);
    if (computed !== digest) {
      throw new OsupdError('verification-failed', `the image's digest is ${computed}, not the one expected`, {
        where: digest,
      });
    }
    // Another writer may have been killed after it gave an object or this image its name, before it made the name durable.
    if (await this.#hasGoodImage(digest)) return syncFileSystem(this.directory);
    const area = openStagingArea(this.stagingDirectory);
    try {
      const temporary = area.newPath('image');
      writeFile(temporary, bytes);
      syncFileSystem(this.directory);
      sealFiles([temporary]);
      keepWhileUsed(this.stagingDirectory, 'images', digest, this.imagePath(digest));
      renameSync(temporary, this.imagePath(digest));
      syncDirectory(this.imagesDirectory);
    } catch (error) {
      throw toOsupdError(error, this.imagePath(digest));
    } finally {
      area.remove();
    }
  }

  async #hasGoodImage(digest: Digest): Promise<boolean> {
    if (!this.hasImage(digest)) return false;
    try {
      await this.readImage(digest);
      return true;
    } catch (error) {
      // Damaged, or the disk cannot read it: what is added takes its place.
      if (error instanceof OsupdError) return false;
      throw error;
    }
  }
}

async function readBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw toOsupdError(error, path);
  }
}

/** Opens an object that is a file at `path`: in its place, or still staged. */
export async function openObjectAt(path: string, digest: Digest): Promise<OpenObject> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) throw damaged('the object is missing', path, digest);
    throw toOsupdError(error, path);
  }
  const { size } = await file.stat();
  const close = () => file.close();
  return {
    digest,
    path,
    size,
    async read(offset, length) {
      if (offset + length > size)
        throw damaged(`the object ends at byte ${size}, before ${offset + length}`, path, digest);
      const bytes = Buffer.allocUnsafe(length);
      for (let done = 0; done < length; ) {
        const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0) throw damaged('the object became shorter while it was read', path, digest);
        done += bytesRead;
      }
      return bytes;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function damaged(message: string, path: string, digest: Digest): OsupdError {
  return new OsupdError('damaged-store', message, {
    where: path,
    remedy: 'run "osupd fsck --repair"',
    facts: { object: digest },
  });
}

/** Makes a directory unless it is there; true when it was made. */
export function makeDirectory(path: string, mode = 0o755): boolean {
  try {
    mkdirSync(path, mode);
    return true;
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) return false;
    throw error;
  }
}

function writeFile(path: string, bytes: Uint8Array): void {
  const fd = createStaged(path);
  try {
    writeFileSync(fd, bytes);
  } finally {
    closeSync(fd);
  }
}
