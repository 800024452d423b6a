/** What was measured, kept as JSON lines, so that a run that was stopped goes on. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import type { Outcome } from './peer.ts';

/** One measurement. */
export interface Result extends Outcome {
  readonly pair: string;
  readonly peer: string;
  readonly machine: string;
  /** Of the programs, by the names of their Debian packages. */
  readonly versions: Readonly<Record<string, string>>;
  /** ISO 8601. */
  readonly date: string;
}

export class Results {
  readonly #path: string;
  readonly #machine: string;

  /** @param machine only results of this one count. */
  constructor(path: string, machine: string) {
    this.#path = path;
    this.#machine = machine;
  }

  /** The last result of each peer for a pair. */
  of(pair: string): Map<string, Result> {
    const lines = existsSync(this.#path) ? readFileSync(this.#path, 'utf8').split('\n') : [];
    const results = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Result);
    return new Map(
      results.filter((one) => one.pair === pair && one.machine === this.#machine).map((one) => [one.peer, one]),
    );
  }

  add(result: Result): void {
    appendFileSync(this.#path, `${JSON.stringify(result)}\n`);
  }
}
