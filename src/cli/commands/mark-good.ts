/** `osupd mark-good`: what runs has proved itself. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';

const HELP = `
osupd-mark-good.service runs it after boot-complete.target.

Exit status: 0 done, or marked before; 5 the machine was not booted from a deployment; 8 another osupd runs.

Example:
  osupd mark-good`;

export function register(program: Command, context: CliContext): void {
  program
    .command('mark-good')
    .description('say that the booted deployment works: its attempts are counted no more, and it is the current one')
    .addHelpText('after', HELP)
    .action(async (_options: object, command: Command) => {
      const { openDevice } = await import('../device.ts');
      const { bootSession } = await import('../boot-session.ts');
      const { markGood } = await import('../../deploy/boot/mark-boot.ts');
      const { device, configuration } = await openDevice(command, context);
      using _lock = device.lock();
      const marked = await markGood(bootSession(device, configuration, context));
      outputOf(command, context).result(marked, () =>
        [
          ...marked.failed.map(({ stack, id, why }) => `${stack}: ${id} failed: ${why}`),
          `${marked.stack}: ${marked.id} ${marked.changed ? 'is good' : 'was marked as good before'}`,
        ].join('\n'),
      );
    });
}
