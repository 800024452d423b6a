/** Switches stacks that are booted: the common part of switch and upgrade. */
import { settleBoot } from '../deploy/boot/mark-boot.ts';
import { type BootChange, type BootSwitchOptions, switchAtBoot } from '../deploy/boot/switch-boot.ts';
import type { Configuration } from '../deploy/configuration.ts';
import type { DeviceRoot } from '../deploy/device.ts';
import { readLinks } from '../deploy/links.ts';
import { bootSession } from './boot-session.ts';
import type { CliContext } from './context.ts';

export interface StartSwitch {
  readonly device: DeviceRoot;
  readonly configuration: Configuration;
  readonly context: CliContext;
  readonly options: BootSwitchOptions;
}

/**
 * Makes the next deployments what the machine boots. The boot partition is not looked for where nothing is next.
 * @returns what changed, or is prepared already.
 */
export async function switchAtStart(stacks: readonly string[], job: StartSwitch): Promise<BootChange[]> {
  const { device, configuration, context, options } = job;
  if (stacks.every((stack) => readLinks(device, stack).next === undefined)) return [];
  const session = bootSession(device, configuration, context);
  if (!options.dryRun) await settleBoot(session);
  const changes: BootChange[] = [];
  for (const stack of stacks) {
    const change = await switchAtBoot(session, stack, options);
    if (change !== undefined) changes.push(change);
  }
  return changes;
}
