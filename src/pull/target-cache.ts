/**
 * Copies of signed files that were fetched before, so that a look for updates that finds none fetches nothing but the
 * timestamp. A copy is used only after its content was checked again.
 */
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileDurably } from '../sys/durable.ts';
import { readIfThere } from './trust-store.ts';

/** Copies that are kept, the newest: a channel, and releases and delta indexes of a few images. */
const KEPT = 64;

export class TargetCache {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** What was kept under a target's name: of this or an older version of it, or damaged. */
  read(target: string): Buffer | undefined {
    return readIfThere(this.#place(target));
  }

  async keep(target: string, bytes: Buffer): Promise<void> {
    mkdirSync(this.#directory, { recursive: true });
    await writeFileDurably(this.#place(target), bytes);
    const age = (name: string) => statSync(join(this.#directory, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const names = readdirSync(this.#directory).filter((name) => !name.startsWith('.'));
    const oldest = names.sort((a, b) => age(b) - age(a)).slice(KEPT);
    for (const name of oldest) rmSync(join(this.#directory, name), { force: true });
  }

  #place(target: string): string {
    return join(this.#directory, encodeURIComponent(target));
  }
}
