/** A process that reads one file again and again, as a running service would while its stack is switched. */
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

interface Account {
  readonly reads: number;
  readonly failures: number;
  /** How often each content was seen, in the order of first sight. */
  readonly contents: readonly number[];
  readonly changes: number;
}

/** Starts the reader and waits for its first read. */
export async function startReader(path: string): Promise<{ stop(): Promise<string> }> {
  const child = fork(fileURLToPath(import.meta.url), [path]);
  await new Promise((resolve) => child.once('message', resolve));
  return {
    stop: async () => {
      const answer = new Promise<Account>((resolve) => child.once('message', (message) => resolve(message as Account)));
      child.send('stop');
      const { reads, failures, contents, changes } = await answer;
      child.disconnect();
      return `${reads} reads, ${failures} failures, ${contents.length} contents, ${changes} changes between them`;
    },
  };
}

function read(path: string): void {
  const seen = new Map<string, number>();
  let reads = 0;
  let failures = 0;
  let changes = 0;
  let last: string | undefined;
  let running = true;
  const once = () => {
    reads++;
    try {
      const content = createHash('sha256').update(readFileSync(path)).digest('hex');
      if (last !== undefined && content !== last) changes++;
      last = content;
      seen.set(content, (seen.get(content) ?? 0) + 1);
    } catch {
      // Counted, not raised: the number of failures is what this process is for.
      failures++;
    }
  };
  const loop = () => {
    if (!running) return;
    once();
    if (reads === 1) process.send?.('reading');
    setImmediate(loop);
  };
  process.on('message', () => {
    running = false;
    const account: Account = { reads, failures, contents: [...seen.values()], changes };
    process.send?.(account);
  });
  loop();
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.argv[2] !== undefined) read(process.argv[2]);
