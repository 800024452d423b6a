/** `osupd status`: what the device has and what is in use. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';

export function register(program: Command, context: CliContext): void {
  program
    .command('status')
    .description('show the deployments of this device; a bullet marks the one in use')
    .addHelpText('after', '\nExample:\n  osupd status\n  osupd status --json')
    .action(async (_options: object, command: Command) => {
      const { openDevice } = await import('../device.ts');
      const { bootSessionIfMounted } = await import('../boot-session.ts');
      const { readStatus } = await import('../../deploy/status.ts');
      const { statusText } = await import('../status-text.ts');
      const { device, configuration } = await openDevice(command, context);
      const status = readStatus(device, configuration, bootSessionIfMounted(device, configuration, context));
      outputOf(command, context).result(status, () => statusText(status));
    });
}
