/** `osupd diff [FROM] [TO]`: what differs between two deployments; `osupd diff --etc [STACK]`: local changes of /etc. */
import type { Command } from 'commander';
import { OsupdError } from '../../core/errors.ts';
import type { Deployment } from '../../deploy/deployment-files.ts';
import type { DeviceRoot } from '../../deploy/device.ts';
import type { Amount, DeploymentDifference } from '../../deploy/difference.ts';
import type { CliContext } from '../context.ts';
import { differenceLine, plainDifference } from '../difference-text.ts';
import { formatBytes, outputOf } from '../output.ts';

interface DiffOptions {
  readonly stat?: boolean;
  readonly etc?: boolean;
}

export function register(program: Command, context: CliContext): void {
  program
    .command('diff')
    .description('list what another deployment adds (A), modifies (M) and deletes (D)')
    .argument('[from]', 'a deployment: current, next, rollback, its ID or number, with STACK/ in front if needed')
    .argument('[to]', 'another one; current, when only one is given (default of both: from current to next)')
    .option('--stat', 'print numbers and sizes only')
    .option('--etc', 'list the local changes in /etc of a stack (the first argument), and what becomes of them')
    .addHelpText('after', '\nExamples:\n  osupd diff\n  osupd diff rollback current --stat\n  osupd diff --etc')
    .action((from: string | undefined, to: string | undefined, options: DiffOptions, command: Command) =>
      diff(from, to, options, command, context),
    );
}

async function diff(
  earlier: string | undefined,
  later: string | undefined,
  { stat = false, etc = false }: DiffOptions,
  command: Command,
  context: CliContext,
): Promise<void> {
  if (etc) {
    if (stat || later !== undefined) throw new OsupdError('usage', 'diff: --etc takes a stack alone, and no --stat');
    const { etcDifference } = await import('../etc-difference.ts');
    return etcDifference(earlier, command, context);
  }
  const { openDeviceRoot } = await import('../device.ts');
  const { compareDeployments } = await import('../../deploy/difference.ts');
  const { writeLines } = await import('../write-lines.ts');
  const output = outputOf(command, context);
  const device = await openDeviceRoot(command, context);
  const { from, to } = await deploymentsNamed(device, earlier, later);
  const { differences, totals } = await compareDeployments(device.pool, from, to);
  if (output.json) {
    const changes = stat ? {} : { differences: differences.map(plainDifference) };
    output.result({ schema: 'osupd-diff/1', from: from?.id ?? null, to: to.id, totals, ...changes }, '');
  } else if (stat) {
    output.result({}, statText(from, to, totals));
  } else {
    await writeLines(output, differences.values().map(differenceLine));
  }
}

/** The two deployments; by default what is next is compared with what is current, or with nothing. */
async function deploymentsNamed(
  device: DeviceRoot,
  from: string | undefined,
  to: string | undefined,
): Promise<{ from: Deployment | undefined; to: Deployment }> {
  const { readDeployment } = await import('../../deploy/deployment.ts');
  const { findDeployment } = await import('../../deploy/find-deployment.ts');
  const { readLinks } = await import('../../deploy/links.ts');
  if (from === undefined && device.stacks().every((stack) => readLinks(device, stack).next === undefined))
    throw new OsupdError('nothing-to-do', 'no deployment is next: there is nothing to compare');
  const later = findDeployment(device, to ?? (from === undefined ? 'next' : 'current'));
  const id = from === undefined ? readLinks(device, later.stack).current : findDeployment(device, from).id;
  const stack = from === undefined ? later.stack : findDeployment(device, from).stack;
  return {
    from: id === undefined ? undefined : readDeployment(device, stack, id),
    to: readDeployment(device, later.stack, later.id),
  };
}

function statText(from: Deployment | undefined, to: Deployment, totals: DeploymentDifference['totals']): string {
  const row = (name: string, { count, bytes }: Amount) => `${name.padStart(12)}: ${count} (${formatBytes(bytes)})`;
  return [
    `${from?.id ?? 'nothing'} to ${to.id}`,
    row('added', totals.added),
    row('modified', totals.changed),
    row('deleted', totals.removed),
    row('new objects', totals.newObjects),
    row('old objects', totals.oldObjects),
  ].join('\n');
}
