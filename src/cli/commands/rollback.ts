/** `osupd rollback [STACK]`: goes back to the deployment that was in use before. */
import type { Command } from 'commander';
import { OsupdError } from '../../core/errors.ts';
import type { Configuration } from '../../deploy/configuration.ts';
import type { DeviceRoot } from '../../deploy/device.ts';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';
import { addChangeOptions, type ChangeFlags, changeOptions, printChanges } from '../stack-changes.ts';

interface RollbackFlags extends ChangeFlags {
  readonly to?: string;
}

export function register(program: Command, context: CliContext): void {
  addChangeOptions(program.command('rollback'))
    .description('go back to the deployment that was in use before; again, and it returns')
    .argument('[stack]', 'the stack (default: the only one that can go back)')
    .option('--to <deployment>', 'go to this deployment: an ID or its number')
    .addHelpText('after', '\nExamples:\n  osupd rollback\n  osupd rollback kiosk --to 3')
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
  const change = await rollbackStack(device, configuration, name, target?.id, options);
  if (change === undefined) throw new OsupdError('nothing-to-do', 'this deployment is in use already');
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
