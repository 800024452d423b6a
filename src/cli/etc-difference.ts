/** `osupd diff --etc`: local changes of /etc, and what the merge for the next deployment would do with them. */
import type { Command } from 'commander';
import { OsupdError } from '../core/errors.ts';
import { bootedDeployment } from '../deploy/boot/booted.ts';
import { type Configuration, stackNamed } from '../deploy/configuration.ts';
import { localChanges } from '../deploy/etc/local-changes.ts';
import { sideOf } from '../deploy/etc/merge-again.ts';
import { prepareEtc } from '../deploy/etc/prepare-etc.ts';
import { formatEtcReport, plainEtcReport } from '../deploy/etc/report.ts';
import { readLinks } from '../deploy/links.ts';
import { commandLineOf } from './boot-session.ts';
import type { CliContext } from './context.ts';
import { openDevice } from './device.ts';
import { etcChangeLine, plainEtcChange } from './etc-change-text.ts';
import { outputOf } from './output.ts';
import { writeLines } from './write-lines.ts';

/** @param stack undefined: the only one that is booted. */
export async function etcDifference(stack: string | undefined, command: Command, context: CliContext): Promise<void> {
  const output = outputOf(command, context);
  const { device, configuration } = await openDevice(command, context);
  const name = stack ?? onlyBooted(configuration);
  const { etc: policy } = stackNamed(configuration, name);
  const { current, next } = readLinks(device, name);
  const booted = bootedDeployment(commandLineOf(context));
  const id = booted?.stack === name ? booted.id : current;
  if (id === undefined)
    throw new OsupdError('not-found', 'no deployment of this stack is in use', {
      where: name,
      remedy: 'osupd switch puts the next one in use',
    });
  const from = await sideOf(device, name, id);
  const changes = await localChanges(device, name, from);
  const openObject = device.pool.openObject.bind(device.pool);
  const report =
    next === undefined || next === id
      ? undefined
      : await prepareEtc({
          ...{ device, stack: name, from, policy, openObject, dryRun: true },
          to: await sideOf(device, name, next),
        });
  if (output.json) {
    const plain = changes.map(plainEtcChange);
    const merge = report === undefined ? null : plainEtcReport(report);
    output.result({ schema: 'osupd-etc-diff/1', stack: name, deployment: id, changes: plain, next: merge }, '');
    return;
  }
  const lines = changes.map(etcChangeLine);
  if (report !== undefined) {
    const merge = formatEtcReport(report, { verbose: output.verbose });
    lines.unshift(`with ${report.to}, which is next:`, ...merge.map((line) => `  ${line}`), `local changes of ${id}:`);
  }
  await writeLines(
    output,
    lines.map((line) => `${line}\n`),
  );
}

function onlyBooted({ stacks }: Configuration): string {
  const booted = Object.keys(stacks).filter((name) => stacks[name]?.switch === 'boot');
  const [only, another] = booted;
  if (only === undefined)
    throw new OsupdError('usage', 'no stack of this device is booted, so none has an /etc of its own');
  if (another === undefined) return only;
  throw new OsupdError('usage', 'several stacks are booted', { remedy: `name one of ${booted.join(', ')}` });
}
