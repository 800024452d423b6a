/** Reads the images and dumps that a command names: a file, or `-` for standard input. */
import { resolve } from 'node:path';
import { collectAtMost } from '../core/bytes.ts';
import { OsupdError, toOsupdError } from '../core/errors.ts';
import { MAX_DUMP_BYTES, MAX_IMAGE_BYTES } from '../core/limits.ts';
import type { CliContext } from './context.ts';

/** The bytes of an image file. @throws OsupdError `not-found`, `io`, `limit-exceeded`. */
export function readImageInput(name: string, context: CliContext): Promise<Buffer> {
  return readInput(name, MAX_IMAGE_BYTES, context);
}

/** The bytes of a dump. @throws OsupdError `not-found`, `io`, `limit-exceeded`. */
export function readDumpInput(name: string, context: CliContext): Promise<Buffer> {
  return readInput(name, MAX_DUMP_BYTES, context);
}

/** How messages name an input. */
export function inputName(name: string): string {
  return name === '-' ? 'standard input' : name;
}

async function readInput(name: string, limit: number, context: CliContext): Promise<Buffer> {
  const where = inputName(name);
  const tooLong = () =>
    new OsupdError('limit-exceeded', `it has more than ${limit} bytes`, { where, facts: { limit } });
  if (name === '-') return collectAtMost(context.stdin as AsyncIterable<Buffer>, limit, tooLong);
  const { open } = await import('node:fs/promises');
  try {
    await using file = await open(resolve(context.workingDirectory, name), 'r');
    // A pipe has no size of its own.
    if ((await file.stat()).isFile()) {
      if ((await file.stat()).size > limit) throw tooLong();
      return await file.readFile();
    }
    return await collectAtMost(file.createReadStream({ autoClose: false }), limit, tooLong);
  } catch (error) {
    throw toOsupdError(error, where);
  }
}
