/** `osupd pin DEPLOYMENT...`. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';

export function register(program: Command, context: CliContext): void {
  program
    .command('pin')
    .description('keep deployments until they are unpinned, whatever gc removes')
    .argument('<deployment...>', 'current, next, rollback, an ID or its number, with STACK/ in front if needed')
    .addHelpText('after', '\nExamples:\n  osupd pin current\n  osupd pin kiosk/3')
    .action(async (names: string[], _options: object, command: Command) => {
      const { openDeviceRoot } = await import('../device.ts');
      const { findDeployment } = await import('../../deploy/find-deployment.ts');
      const { pin } = await import('../../deploy/pins.ts');
      const device = await openDeviceRoot(command, context);
      using _lock = device.lock();
      const pinned = names
        .map((name) => findDeployment(device, name))
        .map(({ stack, id }) => ({ stack, id, changed: pin(device, stack, id) }));
      const lines = pinned.map(
        ({ stack, id, changed }) => `${stack}/${id} is ${changed ? 'pinned' : 'pinned already'}`,
      );
      outputOf(command, context).result({ pinned }, lines.join('\n'));
    });
}
