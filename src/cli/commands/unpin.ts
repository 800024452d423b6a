/** `osupd unpin DEPLOYMENT...`. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';

export function register(program: Command, context: CliContext): void {
  program
    .command('unpin')
    .description('let gc remove deployments again when they are old')
    .argument('<deployment...>', 'current, next, rollback, an ID or its number, with STACK/ in front if needed')
    .addHelpText('after', '\nExample:\n  osupd unpin 3')
    .action(async (names: string[], _options: object, command: Command) => {
      const { openDeviceRoot } = await import('../device.ts');
      const { findDeployment } = await import('../../deploy/find-deployment.ts');
      const { unpin } = await import('../../deploy/pins.ts');
      const device = await openDeviceRoot(command, context);
      using _lock = device.lock();
      const unpinned = names
        .map((name) => findDeployment(device, name))
        .map(({ stack, id }) => ({ stack, id, changed: unpin(device, stack, id) }));
      const lines = unpinned.map(
        ({ stack, id, changed }) => `${stack}/${id} ${changed ? 'is unpinned' : 'was not pinned'}`,
      );
      outputOf(command, context).result({ unpinned }, lines.join('\n'));
    });
}
