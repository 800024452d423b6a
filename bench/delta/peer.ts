/** What the benchmark asks of a program that leads from one tree to another. */
import { execFileSync } from 'node:child_process';
import { basename, join } from 'node:path';
import type { Usage } from './measure.ts';

/** Two trees, each a directory and a tar of the same. */
export interface Pair {
  /** As `OLD:NEW`. */
  readonly name: string;
  readonly old: Tree;
  readonly next: Tree;
}

export interface Tree {
  readonly name: string;
  readonly directory: string;
  readonly tar: string;
}

/** A part of what a device downloads. Sizes in bytes. */
export interface Part {
  readonly objects: number;
  readonly raw: number;
  readonly stored: number;
}

/** What one program needs for one pair. */
export interface Outcome {
  /** Bytes that a device downloads. */
  readonly size: number;
  readonly generation: Usage;
  readonly application: Usage;
  /** What a reader of the table should know. */
  readonly note?: string;
  /** Of what the download consists. */
  readonly kinds?: Readonly<Record<string, Part>>;
}

export interface Place {
  /** An empty directory, which is removed afterwards. */
  readonly scratch: string;
  /** A directory for what later measurements of the same pair can use again. */
  readonly cache: string;
}

export interface Peer {
  readonly name: string;
  /** What it is, for the table's legend. */
  readonly description: string;
  /** Programs that must be there, with the Debian packages that have them. */
  readonly programs: Readonly<Record<string, string>>;
  /** Its own version, where it is of no package. */
  version?(): string;
  /** @throws Error when the program fails, or does not give the new tree. */
  measure(pair: Pair, place: Place): Outcome | Promise<Outcome>;
}

export function treeIn(directory: string, name: string): Tree {
  return { name, directory: join(directory, name), tar: join(directory, `${name}.tar`) };
}

/** Runs a program that is not measured; gives what it printed. @throws Error when it fails. */
export function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** @throws Error when two files differ. */
export function expectSameFile(made: string, expected: string): void {
  try {
    run('cmp', '--silent', made, expected);
  } catch (cause) {
    throw new Error(`${basename(made)} is not the same as ${expected}`, { cause });
  }
}

/** @throws Error when two directories differ in names, contents or link targets. */
export function expectSameTree(made: string, expected: string): void {
  try {
    run('diff', '--recursive', '--no-dereference', '--brief', made, expected);
  } catch (cause) {
    throw new Error(`${basename(made)} is not the same as ${expected}`, { cause });
  }
}
