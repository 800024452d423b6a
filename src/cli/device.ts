/** What the commands of a device have in common: its root and configuration, as --root and --config say. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type Configuration, readConfiguration } from '../deploy/configuration.ts';
import { DeviceRoot, defaultDeviceDirectory } from '../deploy/device.ts';
import type { CliContext } from './context.ts';

/** The global options that say where the device is; absolute paths. */
export interface DeviceLocation {
  readonly root?: string;
  readonly config?: string;
}

export function deviceLocation(command: Command, context: CliContext): DeviceLocation {
  const { root, config } = command.optsWithGlobals<{ root?: string; config?: string }>();
  const absolute = (path: string) => resolve(context.workingDirectory, path);
  return {
    ...(root === undefined ? {} : { root: absolute(root) }),
    ...(config === undefined ? {} : { config: absolute(config) }),
  };
}

/** Directory of the device's root, whether it exists or not. */
export function deviceDirectory(location: DeviceLocation): string {
  return location.root ?? defaultDeviceDirectory();
}

/** @throws OsupdError `not-found` when `osupd init` has not run. */
export function openDeviceRoot(command: Command, context: CliContext): Promise<DeviceRoot> {
  return DeviceRoot.open(deviceDirectory(deviceLocation(command, context)));
}

/** @throws OsupdError `not-found` when `osupd init` has not run; `usage` for a configuration that cannot be understood. */
export async function openDevice(
  command: Command,
  context: CliContext,
): Promise<{ device: DeviceRoot; configuration: Configuration }> {
  const device = await openDeviceRoot(command, context);
  return { device, configuration: readConfiguration(deviceLocation(command, context)) };
}
