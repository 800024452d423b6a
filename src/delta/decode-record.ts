/** Decodes one record to staged files, each checked against the digest of its object; on any thread. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import { FsverityHasher } from '../objects/fsverity.ts';
import { type WrittenContent, writeContent } from '../objects/write-content.ts';
import { codecNamed } from './codecs.ts';
import { Cutter } from './cutter.ts';
import { damagedDelta } from './damage.ts';
import { type OpenBase, OpenBases } from './open-bases.ts';
import { streamBase } from './read-base.ts';

/** An object that a record is based on. */
export interface BaseFile {
  readonly digest: Digest;
  /** Bytes that it must have. */
  readonly size: number;
  /** Where it may be: a commit moves it from the first to the last. */
  readonly paths: readonly string[];
}

/** An object in a record. */
export interface MemberFile {
  readonly digest: Digest;
  readonly size: number;
  /** A new path for it; undefined where it is not kept. */
  readonly path: string | undefined;
}

export interface RecordFiles {
  /** Name of the codec. */
  readonly codec: string;
  readonly bases: readonly BaseFile[];
  readonly members: readonly MemberFile[];
}

/**
 * Writes the members that have a path.
 * @param stored its chunks stay valid.
 * @throws OsupdError `damaged-delta`; `verification-failed` when an object does not have its digest; `damaged-store` when
 * a base is missing; what `stored` throws. Then none of the files counts.
 */
export async function decodeRecord(
  { codec, bases, members }: RecordFiles,
  stored: AsyncIterable<Uint8Array>,
): Promise<WrittenContent[]> {
  await using files = new OpenBases(openBase);
  const sizes = members.map(({ size }) => size);
  const scratch = members.find(({ path }) => path !== undefined)?.path;
  const content = codecNamed(codec).decode(
    stored,
    bases.map((base) => files.baseOf(base)),
    sizes,
    scratch === undefined ? undefined : dirname(scratch),
  );
  await using cutter = new Cutter(content, () => damagedDelta('a record holds less than its objects'));
  const written: WrittenContent[] = [];
  for (const { digest, size, path } of members) {
    if (path === undefined) await cutter.skip(size);
    else written.push(await writeContent(cutter.next(size), path, { digest, size }, () => false));
  }
  if (!(await cutter.isAtEnd())) throw damagedDelta('a record holds more than its objects');
  return written;
}

/**
 * Whether an object that a record is based on has the digest that it should.
 * @throws OsupdError `damaged-store` when it is missing or of another size; `io`
 */
export async function isSound(base: BaseFile): Promise<boolean> {
  await using files = new OpenBases(openBase);
  const hasher = new FsverityHasher();
  for await (const slice of streamBase(files.baseOf(base))) hasher.update(slice);
  return hasher.digest() === base.digest;
}

/** Files of a pool are read without waiting: what this thread would do meanwhile needs their bytes. */
async function openBase(file: BaseFile): Promise<OpenBase> {
  const fd = openFile(file);
  const readInto = async (target: Uint8Array, offset: number) => {
    for (let done = 0; done < target.length; ) {
      const count = readSync(fd, target, done, target.length - done, offset + done);
      if (count === 0) throw missingBase(file, 'an object has become shorter');
      done += count;
    }
  };
  return {
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      await readInto(bytes, offset);
      return bytes;
    },
    readInto,
    close: async () => closeSync(fd),
  };
}

function openFile(file: BaseFile): number {
  for (const path of file.paths) {
    let fd: number;
    try {
      fd = openSync(path, 'r');
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) continue;
      throw toOsupdError(error, path);
    }
    const { size } = fstatSync(fd);
    if (size === file.size) return fd;
    closeSync(fd);
    throw missingBase(file, `the object has ${size} bytes, its image says ${file.size}`);
  }
  throw missingBase(file, 'the object is missing');
}

function missingBase({ digest, paths }: BaseFile, message: string): OsupdError {
  return new OsupdError('damaged-store', message, {
    where: paths.at(-1)!,
    remedy: 'run "osupd fsck --repair"',
    facts: { object: digest },
  });
}
