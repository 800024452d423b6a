/** `osupd rollback [STACK]`: goes back to the deployment that was in use before. */
import type { Command } from 'commander';
import { OsupdError } from '../../core/errors.ts';
import type { Configuration } from '../../deploy/configuration.ts';
import type { DeviceRoot } from '../../deploy/device.ts';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';
import { addChangeOptions, type ChangeFlags, changeOptions, isBootChange, printChanges } from '../stack-changes.ts';

interface RollbackFlags extends ChangeFlags {
  readonly to?: string;
}

export function register(program: Command, context: CliContext): void {
  addChangeOptions(program.command('rollback'))
    .description(
      'go back to the deployment that was in use before, now or when the machine starts; again, and it returns',
    )
    .argument('[stack]', 'the stack (default: the only one that can go back)')
    .option('--to <deployment>', 'go to this deployment: an ID or its number')
    .addHelpText(
      'after',
      '\nExit status: 0 done, 3 it is in use already, 5 there is none to go back to.' +
        '\n\nExamples:\n  osupd rollback\n  osupd rollback kiosk --to 3',
    )
    .action((stack: string | undefined, flags: RollbackFlags, command: Command) =>
      rollback(stack, flags, command, context),
    );
}

async function rollback(
  stack: string | undefined,
  flags: RollbackFlags,
  command: Command,
  context: CliContext,
): Promise<void> {
  const { openDevice } = await import('../device.ts');
  const { findDeployment } = await import('../../deploy/find-deployment.ts');
  const { rollbackStack } = await import('../../deploy/switch.ts');
  const output = outputOf(command, context);
  const { device, configuration } = await openDevice(command, context);
  const options = changeOptions(flags, output, context);
  using _lock = flags.dryRun ? undefined : device.lock();
  const target = flags.to === undefined ? undefined : findDeployment(device, flags.to, stack);
  const name = target?.stack ?? stack ?? (await onlyStack(device, configuration));
  const done = new OsupdError('nothing-to-do', 'this deployment is in use already');
  if (isBootChange(configuration, name, flags)) {
    const { bootSession } = await import('../boot-session.ts');
    const { settleBoot } = await import('../../deploy/boot/mark-boot.ts');
    const { rollbackAtBoot } = await import('../../deploy/boot/switch-boot.ts');
    const session = bootSession(device, configuration, context);
    if (!flags.dryRun) await settleBoot(session);
    const change = await rollbackAtBoot(session, name, target?.id, options);
    if (change === undefined) throw done;
    return printChanges(output, [], options.dryRun ?? false, [change]);
  }
  const change = await rollbackStack(device, configuration, name, target?.id, options);
  if (change === undefined) throw done;
  printChanges(output, [change], options.dryRun ?? false);
}

async function onlyStack(device: DeviceRoot, configuration: Configuration): Promise<string> {
  const { readLinks } = await import('../../deploy/links.ts');
  const all = Object.keys(configuration.stacks);
  const able = all.filter((name) => readLinks(device, name).rollback !== undefined);
  const [only = all[0] ?? '', another] = able;
  if (another === undefined) return only;
  throw new OsupdError('usage', 'several stacks can go back', { remedy: `name one of ${able.join(', ')}` });
}
