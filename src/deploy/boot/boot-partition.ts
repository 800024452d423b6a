/**
 * Files on the boot partition: a FAT, which has no journal and writes its table and its directories in any order. What is
 * safe on it (docs/boot.md has every state that a power cut can leave):
 *
 * - A kernel is written in a directory of its own under its final name. Nothing counts it before an entry names it, and an entry is
 *   written when the kernel is on disk.
 * - A small file (an entry, a menu) is written aside, synced, renamed to a name that does not exist, synced. Readers see it whole, or
 *   empty, or not at all; they leave out an empty one. No file is ever rewritten.
 * - Removal: renamed aside, synced, removed, synced: no file loses its blocks while its name can be seen.
 * - What a cut leaves aside stays: it may share its blocks with the file that it became, and only fsck.vfat can tell.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { isSystemError, OsupdError, toOsupdError } from '../../core/errors.ts';
import { MAX_BOOT_ENTRY_BYTES } from '../../core/limits.ts';
import { syncFileSystem } from '../../sys/durable.ts';
import { freeSpace } from '../../sys/files.ts';
import { type BootEntry, compareEntries, ENTRIES_DIRECTORY, parseEntry, parseEntryName } from './entry.ts';

/** What osupd has on the partition besides the entries. */
export const OWN_DIRECTORY = 'osupd';
const ASIDE = `${OWN_DIRECTORY}/aside`;

const CHUNK_BYTES = 1 << 20;

/** Where a file's bytes come from. */
export interface FileContent {
  readonly size: number;
  /** Exactly `length` bytes from `offset`. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

export class BootPartition {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** osupd's entries, in the order in which a boot loader takes them; files that it would leave out are not among them. */
  entries(stack?: string): BootEntry[] {
    return this.list(ENTRIES_DIRECTORY)
      .flatMap((file): BootEntry[] => {
        const name = parseEntryName(file);
        if (name === undefined || (stack !== undefined && name.stack !== stack)) return [];
        const contents = parseEntry(this.readText(`${ENTRIES_DIRECTORY}/${file}`) ?? '');
        return contents === undefined ? [] : [{ ...name, file, contents }];
      })
      .sort(compareEntries);
  }

  /** Names in a directory of the partition; none where it does not exist. */
  list(path: string): string[] {
    try {
      return readdirSync(this.path(path)).sort();
    } catch (error) {
      // Before the first switch there is nothing.
      if (isSystemError(error, 'ENOENT')) return [];
      throw toOsupdError(error);
    }
  }

  /** A small file; undefined where there is none. */
  readText(path: string): string | undefined {
    const place = this.path(path);
    try {
      if (statSync(place).size > MAX_BOOT_ENTRY_BYTES) return undefined;
      return readFileSync(place, 'utf8');
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return undefined;
      throw toOsupdError(error, place);
    }
  }

  /** The first `size` bytes of a file, in pieces; fewer where it is shorter. */
  *chunks(path: string, size: number): Generator<Uint8Array> {
    const place = this.path(path);
    try {
      const fd = openSync(place, 'r');
      try {
        for (let offset = 0; offset < size; ) {
          const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, size - offset));
          const length = readSync(fd, chunk, 0, chunk.length, offset);
          if (length === 0) return;
          yield chunk.subarray(0, length);
          offset += length;
        }
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw this.#failure(error, place);
    }
  }

  /** Size of a file in bytes; undefined where there is none. */
  sizeOf(path: string): number | undefined {
    return statSync(this.path(path), { throwIfNoEntry: false })?.size;
  }

  freeBytes(): number {
    return freeSpace(this.directory).bytes;
  }

  path(path: string): string {
    return join(this.directory, path);
  }

  /** Writes a large file that nothing names yet. @throws OsupdError `no-space`, `io` */
  async writeUnnamed(path: string, content: FileContent): Promise<void> {
    const place = this.path(path);
    try {
      mkdirSync(dirname(place), { recursive: true });
      const fd = openSync(place, 'wx', 0o644);
      try {
        for (let offset = 0; offset < content.size; offset += CHUNK_BYTES)
          writeAll(fd, await content.read(offset, Math.min(CHUNK_BYTES, content.size - offset)));
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      syncFileSystem(this.directory);
    } catch (error) {
      throw this.#failure(error, place);
    }
  }

  /** Gives a small file a name that does not exist yet; durable when it returns. */
  writeText(path: string, text: string): void {
    const place = this.path(path);
    try {
      mkdirSync(dirname(place), { recursive: true });
      const aside = this.#nameAside();
      const fd = openSync(aside, 'wx', 0o644);
      try {
        writeAll(fd, Buffer.from(text));
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      // The table and the directory, too: fsync of a file on FAT leaves out the directories above it.
      syncFileSystem(this.directory);
      // An empty file of this name is what a cut has left, and no reader counts it.
      if (this.sizeOf(path) === 0) this.#takeAway(place);
      renameSync(aside, place);
      syncFileSystem(this.directory);
    } catch (error) {
      throw this.#failure(error, place);
    }
  }

  /** Removes a small file; one that is not there is left at that. */
  remove(path: string): void {
    const place = this.path(path);
    try {
      if (existsSync(place)) this.#takeAway(place);
    } catch (error) {
      // The boot loader's own services rename entries, too.
      if (isSystemError(error, 'ENOENT')) return;
      throw this.#failure(error, place);
    }
  }

  /** Removes a directory that nothing names any more. */
  removeUnnamed(path: string): void {
    const place = this.path(path);
    try {
      rmSync(place, { recursive: true, force: true });
      syncFileSystem(this.directory);
    } catch (error) {
      throw this.#failure(error, place);
    }
  }

  #takeAway(place: string): void {
    const aside = this.#nameAside();
    renameSync(place, aside);
    syncFileSystem(this.directory);
    rmSync(aside);
    syncFileSystem(this.directory);
  }

  /** A name that no file has or had: see the head of this file. */
  #nameAside(): string {
    const directory = this.path(ASIDE);
    mkdirSync(directory, { recursive: true });
    const last = Math.max(0, ...readdirSync(directory).map((name) => Number.parseInt(name, 10) || 0));
    return join(directory, `${last + 1}.tmp`);
  }

  #failure(error: unknown, place: string): OsupdError {
    if (!isSystemError(error, 'EROFS')) return toOsupdError(error, place);
    return new OsupdError('io', 'the boot partition is read-only', {
      where: this.directory,
      remedy: 'the kernel makes a damaged FAT read-only: unmount it, run fsck.vfat -a on its device, mount it',
      cause: error,
    });
  }
}

/**
 * @param directory where the ESP or XBOOTLDR partition is mounted.
 * @throws OsupdError `not-found` when there is no such directory.
 */
export function openBootPartition(directory: string): BootPartition {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return new BootPartition(directory);
  throw new OsupdError('not-found', 'there is no boot partition', {
    where: directory,
    remedy: 'mount it there, or set directory under [boot]',
  });
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length; ) offset += writeSync(fd, bytes, offset);
}
