/** `osupd delta apply` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { CliContext } from '../../context.ts';
import { formatBytes, outputOf } from '../../output.ts';

const EXAMPLES = `
The pool must have the images that the delta starts from. Nothing vouches for a delta file but the images' digests, which
are printed: compare them with what you expect. Devices use "osupd pull", which checks signatures.

Example:
  osupd delta apply update.osd --pool ./pool`;

export function register(group: Command, context: CliContext): void {
  group
    .command('apply')
    .description('bring the images of a delta file into a pool')
    .argument('<file>', 'the delta')
    .requiredOption('--pool <dir>', 'the pool')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, options: { pool: string }, command: Command) => {
      const { openDeltaFile } = await import('../../../delta/delta-file.ts');
      const { applyToPool } = await import('../../../delta/apply-images.ts');
      const { Pool } = await import('../../../objects/pool.ts');
      const output = outputOf(command, context);
      const { progress } = output;
      const pool = await Pool.open(resolve(context.workingDirectory, options.pool));
      const delta = await openDeltaFile(resolve(context.workingDirectory, file));
      const applied = await applyToPool(delta, pool, { progress, signal: context.signal });
      const { to } = delta.head;
      output.result({ to, ...applied }, () =>
        [
          ...to.map((digest) => `image    ${digest}`),
          `objects  ${applied.added.count} new, ${formatBytes(applied.added.bytes)}`,
          `read     ${formatBytes(applied.read)} of ${formatBytes(delta.head.payloadSize)} of content`,
        ].join('\n'),
      );
    });
}
