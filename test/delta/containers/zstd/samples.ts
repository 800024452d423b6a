/** Frames of the real zstd command, of content that any machine with this project has. */
import { execFileSync } from 'node:child_process';
import { openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';

const LARGEST = 1 << 28;

/** Texts and machine code in turn, so many bytes. */
export function sampleContent(size: number): Buffer {
  const text = readFileSync(join(import.meta.dirname, '../../../../node_modules/vite/dist/node/chunks/node.js'));
  const code = Buffer.alloc(size);
  readSync(openSync(process.execPath, 'r'), code, 0, size, 40 << 20);
  const out = Buffer.alloc(size);
  const piece = 50_000;
  for (let at = 0, index = 0; at < size; at += piece, index++)
    (index % 2 === 0 ? text : code).copy(out, at, (index * piece) % (text.length - piece), (index + 1) * piece);
  return out;
}

/** What the command makes of content that comes through a pipe, or of a file, whose size it knows. */
export function compress(content: Uint8Array, options: readonly string[]): Buffer {
  return execFileSync('zstd', ['-q', '-c', `--stream-size=${content.length}`, ...options], {
    input: content,
    maxBuffer: LARGEST,
  });
}

export function compressPipe(content: Uint8Array, options: readonly string[]): Buffer {
  return execFileSync('zstd', ['-q', '-c', ...options], { input: content, maxBuffer: LARGEST });
}

/** Whether the command is of a version that is emulated exactly. */
export function isEmulatedExactly(): boolean {
  return /v1\.5\.[45]\b/.test(execFileSync('zstd', ['--version'], { encoding: 'utf8' }));
}
