/** How results, notes, progress and errors look: text for people, one JSON document for programs (`--json`). */
import type { Command } from 'commander';
import type { OsupdError } from '../core/errors.ts';
import { noProgress, type Progress } from '../core/progress.ts';
import type { CliContext } from './context.ts';
import { progressFor } from './progress-display.ts';

interface GlobalOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly progress: Progress;
  readonly #context: CliContext;

  constructor(context: CliContext, options: GlobalOptions) {
    this.#context = context;
    this.json = options.json ?? false;
    this.quiet = options.quiet ?? false;
    this.verbose = options.verbose ?? false;
    this.progress = this.quiet ? noProgress : progressFor(context, this.json);
  }

  /** The command's result: `value` as one line of JSON with --json, else `text` (nothing when it is empty). */
  result(value: object, text: string | (() => string)): void {
    if (this.json) {
      this.#context.stdout.write(`${JSON.stringify(value)}\n`);
      return;
    }
    const shown = typeof text === 'string' ? text : text();
    if (shown !== '') this.#context.stdout.write(shown.endsWith('\n') ? shown : `${shown}\n`);
  }

  /** A line of text on standard output; left out with --json. */
  line(text: string): void {
    if (!this.json) this.#context.stdout.write(`${text}\n`);
  }

  /** A line for people on standard error; left out with --quiet. */
  note(text: string): void {
    if (!this.quiet) this.#context.stderr.write(`osupd: ${text}\n`);
  }

  /** Raw bytes on standard output, waiting where the reader is slow. */
  async write(chunk: Uint8Array | string): Promise<void> {
    const stream = this.#context.stdout;
    if (stream.write(chunk)) return;
    await new Promise<void>((resolve) => stream.once('drain', resolve));
  }
}

/** The output as the global options of a running command ask for. */
export function outputOf(command: Command, context: CliContext): Output {
  return new Output(context, command.optsWithGlobals<GlobalOptions>());
}

/**
 * The one line for a failed command, `osupd: WHAT: WHERE: WHY; REMEDY`, or the same as a JSON object.
 * `what` is the command; with `verbose` the stack and causes follow.
 */
export function renderError(error: OsupdError, what: string, options: GlobalOptions): string {
  if (options.json) {
    const { code, message, where, remedy, facts, exitStatus } = error;
    return `${JSON.stringify({ error: { code, command: what, message, where, remedy, exitStatus, ...(Object.keys(facts).length > 0 ? { facts } : {}) } })}\n`;
  }
  const report = 'this is a defect in osupd: please report it with the output of --verbose';
  const remedy = error.remedy ?? (error.code === 'internal' ? report : undefined);
  const parts = ['osupd', what, error.where, error.message].filter((part) => part !== undefined && part !== '');
  // One line whatever a file name or a server's message holds.
  const line = `${parts.join(': ')}${remedy === undefined ? '' : `; ${remedy}`}`.replace(/\s*\n\s*/g, ' ');
  return `${line}\n${options.verbose ? stackOf(error) : ''}`;
}

function stackOf(error: Error): string {
  const lines = [error.stack ?? ''];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause)
    lines.push(`caused by: ${cause.stack ?? cause.message}`);
  return `${lines.join('\n')}\n`;
}

/** Bytes as people read them: `1.2 MB` (powers of 1000). */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return unit === 0 ? `${bytes} B` : `${value.toFixed(1)} ${units[unit]}`;
}
