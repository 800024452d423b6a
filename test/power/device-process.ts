/** A process that runs commands on a disk, for as long as the test wants, or until the power goes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import type { CommandResult } from '../helpers/run-command.ts';

const PROGRAM = resolve(import.meta.dirname, 'commands-process.ts');
const POINTS = resolve(import.meta.dirname, 'cut-points.ts');

export interface ProcessOptions {
  /** The kernel's command line. */
  readonly commandLine: string;
  /** Note every change of this disk, and cut its power before change number `at`. */
  readonly cut?: { readonly disk: string; readonly at?: number; readonly log: string };
}

export class DeviceProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #answer = '';

  constructor({ commandLine, cut }: ProcessOptions) {
    const environment = { ...process.env, SYSTEMD_PROC_CMDLINE: commandLine };
    const cutting = cut && {
      OSUPD_TEST_DISK: cut.disk,
      OSUPD_TEST_POINTS: cut.log,
      OSUPD_TEST_CUT: cut.at === undefined ? '' : String(cut.at),
    };
    if (cut !== undefined) rmSync(cut.log, { force: true });
    const args = [...(cut === undefined ? [] : ['--import', POINTS]), PROGRAM];
    this.#child = spawn(process.execPath, args, {
      cwd: '/',
      env: { ...environment, ...cutting },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#answer += text;
    });
    this.#child.stdin?.on('error', () => {
      // The process died; its missing answer says so.
    });
    this.#ended = once(this.#child, 'close');
  }

  /** Runs a command; undefined when the power went before its end. */
  async run(...args: string[]): Promise<CommandResult | undefined> {
    this.#child.stdin?.write(`${JSON.stringify(args)}\n`);
    while (!this.#answer.includes('\n')) {
      const ended = await Promise.race([
        this.#ended.then(() => true),
        once(this.#child.stdout!, 'data').then(() => false),
      ]);
      if (ended && !this.#answer.includes('\n')) {
        if (this.#child.signalCode === 'SIGKILL') return undefined;
        throw new Error(`the process ended with ${this.#child.exitCode ?? this.#child.signalCode}`);
      }
    }
    const [answer = '', ...rest] = this.#answer.split('\n');
    this.#answer = rest.join('\n');
    return JSON.parse(answer) as CommandResult;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end();
    await this.#ended;
  }
}

/** The fault points that a process has passed. */
export function pointsIn(log: string): string[] {
  return readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.trimEnd());
}
