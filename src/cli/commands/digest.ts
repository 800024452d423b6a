/** `osupd digest`: fs-verity digests of files. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';

const EXAMPLES = `
Example:
  osupd digest os.img kernel    prints DIGEST  FILE for each`;

/** Bytes that are read at once. */
const CHUNK_BYTES = 1 << 20;

export function register(program: Command, context: CliContext): void {
  program
    .command('digest')
    .description('print the fs-verity digests (SHA-256, 4096-byte blocks, no salt) that name objects and images')
    .argument('<file...>', 'files; - for standard input')
    .addHelpText('after', EXAMPLES)
    .action(async (files: string[], _options: object, command: Command) => {
      const { FsverityHasher } = await import('../../objects/fsverity.ts');
      const output = outputOf(command, context);
      const results: { file: string; digest: string; bytes: number }[] = [];
      for (const file of files) {
        const hasher = new FsverityHasher();
        for await (const chunk of contentOf(file, context)) hasher.update(chunk);
        const bytes = hasher.size;
        const digest = hasher.digest();
        output.line(`${digest}  ${file}`);
        results.push({ file, digest, bytes });
      }
      if (output.json) output.result({ files: results }, '');
    });
}

async function* contentOf(file: string, context: CliContext): AsyncGenerator<Uint8Array> {
  const { resolve } = await import('node:path');
  const { createReadStream } = await import('node:fs');
  const { toOsupdError } = await import('../../core/errors.ts');
  const { signal } = context;
  try {
    yield* file === '-'
      ? (context.stdin as AsyncIterable<Buffer>)
      : (createReadStream(resolve(context.workingDirectory, file), {
          highWaterMark: CHUNK_BYTES,
          signal,
        }) as AsyncIterable<Buffer>);
  } catch (error) {
    throw toOsupdError(signal.aborted ? signal.reason : error, file === '-' ? 'standard input' : file);
  }
}
