/** Starts and stops readers (reader.ts) for tests of the live switch. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { ReaderReport } from './reader.ts';

const SCRIPT = new URL('reader.ts', import.meta.url).pathname;

export class Reader {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>) {
    this.#process = child;
    this.#lines = lines;
  }

  /**
   * Starts a reader; resolves when it has read once.
   * @param namespace `same`: the mount namespace of this process; else one of its own, which gets changes of mounts (`slave`) or does not.
   */
  static async start(directory: string, namespace: 'same' | 'slave' | 'private' = 'same'): Promise<Reader> {
    const command = [process.execPath, SCRIPT, directory];
    const prefix = namespace === 'same' ? [] : ['unshare', '--mount', '--propagation', namespace];
    const [program = '', ...args] = [...prefix, ...command];
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await lines.next();
    if (first.value !== 'ready') throw new Error(`a reader did not start: ${first.value}`);
    return new Reader(child, lines);
  }

  /** Ends it, and gives what it saw. */
  async stop(): Promise<ReaderReport> {
    this.#process.stdin?.end();
    const line = await this.#lines.next();
    if (this.#process.exitCode === null) await once(this.#process, 'exit');
    return JSON.parse(line.value) as ReaderReport;
  }
}
