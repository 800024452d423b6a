/**
 * The device's trusted metadata: `trust/root.json` and the newest verified version of every other role.
 *
 * The TUF client writes each file it has verified straight to its place, where a crash could tear it, and a torn root would
 * lock the device out for ever. So it works on a copy, and what it changed there is then taken over file by file, durably.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import { writeFileDurably } from '../sys/durable.ts';
import { isAlive } from '../sys/processes.ts';

const ROOT_FILE = 'root.json';

/** Copies are named by the process that works on them, so that those of dead processes can be told. */
const COPY = /^\.copy-(\d+)-/;

export class TrustStore {
  /** The copy that the TUF client reads and writes. */
  readonly workingDirectory: string;
  readonly #directory: string;
  /** What each file held when it was copied or taken over. */
  readonly #known = new Map<string, Buffer>();

  /**
   * @param directory `ROOT/trust`
   * @throws OsupdError `not-found` where no root was pinned
   */
  constructor(directory: string) {
    if (!existsSync(join(directory, ROOT_FILE))) {
      throw new OsupdError('not-found', 'this device trusts no repository yet', {
        where: join(directory, ROOT_FILE),
        remedy: 'run osupd init --trust ROOT.json with the root of the repository',
      });
    }
    this.#directory = directory;
    try {
      removeAbandoned(directory);
      this.workingDirectory = mkdtempSync(join(directory, `.copy-${process.pid}-`));
      for (const name of metadataFiles(directory)) {
        const bytes = readFileSync(join(directory, name));
        this.#known.set(name, bytes);
        writeFileSync(join(this.workingDirectory, name), bytes);
      }
    } catch (error) {
      throw toOsupdError(error, directory);
    }
  }

  /**
   * Takes over what the client has verified since: the root first, as it vouches for all others. Also to be called after
   * a refresh that failed: what was verified before the failure guards against older versions.
   */
  async keep(): Promise<void> {
    const names = metadataFiles(this.workingDirectory);
    for (const name of names.sort((a, b) => Number(b === ROOT_FILE) - Number(a === ROOT_FILE))) {
      const bytes = readFileSync(join(this.workingDirectory, name));
      const known = this.#known.get(name);
      if (known?.equals(bytes)) continue;
      this.#known.set(name, bytes);
      // Where another process was faster, it has verified its version as well, and that may be the newer one.
      const present = readIfThere(join(this.#directory, name));
      if (present === undefined || known?.equals(present)) await writeFileDurably(join(this.#directory, name), bytes);
    }
  }

  close(): void {
    rmSync(this.workingDirectory, { recursive: true, force: true });
  }
}

function metadataFiles(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.endsWith('.json') && !name.startsWith('.'));
}

function removeAbandoned(directory: string): void {
  for (const name of readdirSync(directory)) {
    const pid = COPY.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(directory, name), { recursive: true, force: true });
  }
}

/** The content of a file; undefined when there is none. */
export function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}
