/** `osupd mark-bad`: what runs is not to be booted again. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';

const HELP = `
The machine boots another deployment when it starts again; this command does not restart it. What is marked as bad is not pulled
again before the channel offers something else; osupd pull --retry takes it again.

Exit status: 0 done; 5 the machine was not booted from a deployment, or there is no other one; 8 another osupd runs.

Example:
  osupd mark-bad "the display stays dark" && reboot`;

export function register(program: Command, context: CliContext): void {
  program
    .command('mark-bad')
    .description('say that the booted deployment does not work: it is not booted again, and not pulled again')
    .argument('[reason...]', 'why; osupd status shows it')
    .option('--verify', 'read every object of the other deployment first and compare its digest')
    .addHelpText('after', HELP)
    .action(async (reason: string[], { verify = false }: { verify?: boolean }, command: Command) => {
      const { openDevice } = await import('../device.ts');
      const { bootSession } = await import('../boot-session.ts');
      const { markBad } = await import('../../deploy/boot/mark-boot.ts');
      const output = outputOf(command, context);
      const { device, configuration } = await openDevice(command, context);
      using _lock = device.lock();
      const why = reason.join(' ') || 'marked as bad';
      const options = { verify, progress: output.progress, signal: context.signal };
      const { failed, to } = await markBad(bootSession(device, configuration, context), why, options);
      output.result({ failed, to }, `${failed.stack}: ${failed.id} is bad; the next start boots ${to}`);
    });
}
