/** Writes a command's binary result to the file that the user named, or to standard output for `-`. */
import { resolve } from 'node:path';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import { writeFileDurably } from '../sys/durable.ts';
import type { CliContext } from './context.ts';
import type { Output } from './output.ts';

/**
 * Writes the whole of `bytes`. A regular file is replaced at once or not at all; through a symbolic link, its target is; a device or pipe
 * is written to.
 * @throws OsupdError `usage` where standard output is a terminal; `io`, `no-space`, `not-found`.
 */
export async function writeBinaryOutput(
  name: string,
  bytes: Uint8Array,
  output: Output,
  context: CliContext,
): Promise<void> {
  if (name === '-') {
    if (context.stdout.isTTY === true)
      throw new OsupdError('usage', 'binary output is not written to a terminal', {
        remedy: 'name a file, or send standard output to one',
      });
    return output.write(bytes);
  }
  const { realpath, stat, writeFile } = await import('node:fs/promises');
  const path = resolve(context.workingDirectory, name);
  try {
    const isSpecial = await stat(path).then((status) => !status.isFile());
    if (isSpecial) await writeFile(path, bytes);
    else await writeFileDurably(await realpath(path), bytes);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw toOsupdError(error, name);
    await writeFileDurably(path, bytes);
  }
}
