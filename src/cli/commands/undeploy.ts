/** `osupd undeploy DEPLOYMENT...`. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';

export function register(program: Command, context: CliContext): void {
  program
    .command('undeploy')
    .description('remove deployments that are not in use; gc then frees what only they need')
    .argument('<deployment...>', 'next, rollback, an ID or its number, with STACK/ in front if needed')
    .addHelpText('after', '\nExample:\n  osupd undeploy 3 && osupd gc')
    .action(async (names: string[], _options: object, command: Command) => {
      const { openDevice } = await import('../device.ts');
      const { bootSessionIfAny } = await import('../boot-session.ts');
      const { findDeployment } = await import('../../deploy/find-deployment.ts');
      const { undeploy } = await import('../../deploy/undeploy.ts');
      const { device, configuration } = await openDevice(command, context);
      using _lock = device.lock();
      const removed = names.map((name) => findDeployment(device, name));
      undeploy(device, configuration, removed, bootSessionIfAny(device, configuration, context));
      const lines = removed.map(({ stack, id }) => `removed ${stack}/${id}`);
      outputOf(command, context).result({ removed }, lines.join('\n'));
    });
}
