/** Programs of the system that make partition tables and file systems. */
import { spawn } from 'node:child_process';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';

/** Debian packages of the programs, to name them where one is missing. */
const PACKAGES: Readonly<Record<string, string>> = {
  sfdisk: 'fdisk',
  'mkfs.vfat': 'dosfstools',
  mcopy: 'mtools',
  'mkfs.ext4': 'e2fsprogs',
  'mkfs.btrfs': 'btrfs-progs',
  'mkfs.xfs': 'xfsprogs',
};

/** Longest part of what a program says that goes into a message. */
const MAX_SAID = 500;

/**
 * Runs a program to its end, with `input` on its standard input.
 * @param where what it works on, for messages.
 * @returns what it wrote to its standard output.
 * @throws OsupdError `unsupported` where it is not installed, `io` with its own words when it fails.
 */
export function runProgram(program: string, args: readonly string[], where: string, input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const output: Buffer[] = [];
    const said: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => said.push(chunk));
    child.on('error', (error) =>
      reject(isSystemError(error, 'ENOENT') ? notInstalled(program) : toOsupdError(error, program)),
    );
    child.on('close', (status) => {
      if (status === 0) return resolve(Buffer.concat(output).toString());
      const words = Buffer.concat([...said, ...output])
        .toString()
        .trim()
        .replace(/\s+/g, ' ')
        .slice(0, MAX_SAID);
      reject(new OsupdError('io', `${program} failed: ${words || `status ${status}`}`, { where }));
    });
    // A program that ends without reading its input says why in another way.
    child.stdin.on('error', (error) => isSystemError(error, 'EPIPE') || reject(toOsupdError(error, program)));
    child.stdin.end(input);
  });
}

function notInstalled(program: string): OsupdError {
  return new OsupdError('unsupported', `the program ${program} is not installed`, {
    remedy: `install it (package ${PACKAGES[program] ?? program})`,
  });
}
