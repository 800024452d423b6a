/** Runs a command line in this process, with a clock, an environment and a working directory of the test's own. */
import { Readable, Writable } from 'node:stream';
import { run } from '../../src/cli/main.ts';

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The time of every command. */
const NOW = '2030-01-01T12:00:00Z';

export async function runCommand(
  args: readonly string[],
  cwd = '/',
  environment: Readonly<Record<string, string>> = {},
  stdin?: string,
): Promise<CommandResult> {
  const stdout = collector();
  const stderr = collector();
  const status = await run(args, {
    environment,
    workingDirectory: cwd,
    now: () => new Date(NOW),
    stdout: stdout.stream,
    stderr: stderr.stream,
    stdin: stdin === undefined ? process.stdin : Readable.from([Buffer.from(stdin)]),
    signal: new AbortController().signal,
    version: '0.0.0',
  });
  return { status, stdout: stdout.text(), stderr: stderr.text() };
}

/** Runs a command with `--json`, expects success, and gives its result. */
export async function jsonOf(args: readonly string[], cwd = '/'): Promise<unknown> {
  const { status, stdout, stderr } = await runCommand([...args, '--json'], cwd);
  if (status !== 0) throw new Error(`osupd ${args.join(' ')}: exit ${status}\n${stderr}`);
  return JSON.parse(stdout);
}

function collector(): { stream: Writable; text: () => string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') };
}
