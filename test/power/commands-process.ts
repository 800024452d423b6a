/**
 * Runs command lines that come on standard input, one JSON array of words a line, and answers each with one line of JSON. A
 * process of its own sees the disks of its mount namespace on all its threads.
 */
import { createInterface } from 'node:readline';
import { runCommand } from '../helpers/run-command.ts';

for await (const line of createInterface({ input: process.stdin })) {
  const result = await runCommand(JSON.parse(line), '/', {
    SYSTEMD_PROC_CMDLINE: process.env.SYSTEMD_PROC_CMDLINE ?? '',
  });
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
