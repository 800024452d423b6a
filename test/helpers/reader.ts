/**
 * A process that reads a directory as fast as it can, while stacks are switched under it: `node reader.ts DIR`. The files
 * `a` and `b` of every version start with its number. Each round:
 * - opens the directory once and reads both files from there: both must exist and have one number (no mixed tree);
 * - reads `a` by its path: it must exist, and its number must not go back.
 *
 * Prints `ready` after the first round; ends when standard input does, with one line of JSON, a {@link ReaderReport}.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';

export interface ReaderReport {
  rounds: number;
  /** How often the number changed. */
  changes: number;
  /** The last number read. */
  last: number;
  /** What went wrong, at most ten. */
  problems: string[];
}

const directory = process.argv[2] ?? '';
const report: ReaderReport = { rounds: 0, changes: 0, last: -1, problems: [] };
const buffer = Buffer.alloc(9000);

function problem(text: string): void {
  if (report.problems.length < 10) report.problems.push(text);
}

/** The number at the start of a file, and that the rest of it is the same object. */
function numberIn(path: string): number {
  const fd = openSync(path, 'r');
  try {
    const length = readSync(fd, buffer);
    const text = buffer.toString('latin1', 0, length);
    const number = Number.parseInt(text, 10);
    if (length !== buffer.length || text !== `${number} `.padEnd(length, '.')) problem(`${path}: torn content`);
    return number;
  } finally {
    closeSync(fd);
  }
}

function round(): void {
  try {
    const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      const [a, b] = ['a', 'b'].map((name) => numberIn(`/proc/self/fd/${fd}/${name}`));
      if (a !== b) problem(`one directory shows versions ${a} and ${b}`);
    } finally {
      closeSync(fd);
    }
    const number = numberIn(`${directory}/a`);
    if (number < report.last) problem(`version ${number} after ${report.last}`);
    if (number !== report.last) report.changes++;
    report.last = number;
  } catch (error) {
    problem(String(error));
  }
  report.rounds++;
}

let ended = false;
process.stdin.on('end', () => {
  ended = true;
});
process.stdin.resume();
round();
process.stdout.write('ready\n');
while (!ended) {
  for (let count = 0; count < 20; count++) round();
  await setImmediate();
}
round();
process.stdout.write(`${JSON.stringify(report)}\n`);
