/** `osupd gc`: frees what no deployment needs any more. */
import type { Command } from 'commander';
import { countOf } from '../../core/count.ts';
import type { Garbage } from '../../deploy/collect-garbage.ts';
import type { CliContext } from '../context.ts';
import { formatBytes, outputOf } from '../output.ts';

export function register(program: Command, context: CliContext): void {
  program
    .command('gc')
    .description('remove deployments that are too old, then what only they needed')
    .option('--dry-run', 'say what would be removed, but remove nothing')
    .addHelpText('after', '\nExamples:\n  osupd gc --dry-run\n  osupd gc')
    .action(async ({ dryRun = false }: { dryRun?: boolean }, command: Command) => {
      const { openDevice } = await import('../device.ts');
      const { bootSessionIfAny } = await import('../boot-session.ts');
      const { settleBoot } = await import('../../deploy/boot/mark-boot.ts');
      const { collectGarbage } = await import('../../deploy/collect-garbage.ts');
      const output = outputOf(command, context);
      const { device, configuration } = await openDevice(command, context);
      using _lock = device.lock();
      const session = bootSessionIfAny(device, configuration, context);
      if (session !== undefined && !dryRun) await settleBoot(session);
      const garbage = await collectGarbage(device, configuration, { dryRun, session, progress: output.progress });
      output.result({ dryRun, ...garbage }, () => garbageText(garbage, dryRun));
    });
}

function garbageText({ deployments, freed }: Garbage, dryRun: boolean): string {
  const removed = dryRun ? 'would remove' : 'removed';
  const lines = deployments.map(({ stack, id }) => `${removed} deployment ${stack}/${id}`);
  const amounts = `${countOf(freed.images.count, 'image')} and ${countOf(freed.objects.count, 'object')}`;
  const bytes = formatBytes(freed.images.bytes + freed.objects.bytes);
  return [...lines, `${removed} ${amounts}, ${dryRun ? 'which would free' : 'freed'} ${bytes}`].join('\n');
}
