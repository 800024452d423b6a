/** `osupd merge-etc`: the merge of /etc once more, when the machine stops. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';

const HELP = `
osupd-etc.service runs it at shutdown: what was changed in /etc since osupd switch comes along. Nobody can be asked then: where the
new default changed the same, the local version stays, and a line says so.

Exit status: 0 done, or nothing to do; 8 another osupd runs.

Example:
  osupd merge-etc`;

export function register(program: Command, context: CliContext): void {
  program
    .command('merge-etc')
    .description('carry changes of /etc over to the deployment that waits for the next start')
    .addHelpText('after', HELP)
    .action(async (_options: object, command: Command) => {
      const { openDeviceRoot } = await import('../device.ts');
      const { bootedDeployment } = await import('../../deploy/boot/booted.ts');
      const { mergeEtcAgain } = await import('../../deploy/etc/merge-again.ts');
      const { formatEtcConflict, plainEtcReport } = await import('../../deploy/etc/report.ts');
      const { commandLineOf } = await import('../boot-session.ts');
      const output = outputOf(command, context);
      const booted = bootedDeployment(commandLineOf(context));
      const device = await openDeviceRoot(command, context);
      using _lock = device.lock();
      const merged = booted === undefined ? [] : await mergeEtcAgain(device, booted.stack, booted.id);
      output.result({ merged: merged.map(({ report }) => plainEtcReport(report)) }, () =>
        merged
          .flatMap(({ report, fresh }) => [
            `${report.stack}: /etc of ${report.to} has the local changes up to now`,
            ...fresh.flatMap(formatEtcConflict).map((line) => `  new conflict: ${line}`),
          ])
          .join('\n'),
      );
    });
}
