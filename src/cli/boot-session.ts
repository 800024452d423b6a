/** The boot of this machine, for commands. */
import { OsupdError } from '../core/errors.ts';
import { settleBoot } from '../deploy/boot/mark-boot.ts';
import { type BootSession, openBootSession } from '../deploy/boot/session.ts';
import { runningCommandLine } from '../deploy/boot/soft-reboot.ts';
import type { Configuration } from '../deploy/configuration.ts';
import type { DeviceRoot } from '../deploy/device.ts';
import { formatTime } from '../repository/json-fields.ts';
import type { CliContext } from './context.ts';

/** What the system was started by; the environment variable that systemd has for tests and containers replaces it. */
export function commandLineOf(context: CliContext): string {
  return context.environment.SYSTEMD_PROC_CMDLINE ?? runningCommandLine();
}

/** @throws OsupdError `not-found` when no boot partition is mounted. */
export function bootSession(device: DeviceRoot, configuration: Configuration, context: CliContext): BootSession {
  return openBootSession(device, configuration, commandLineOf(context), formatTime(context.now()));
}

/**
 * Undefined for a device of which no stack is booted.
 * @throws OsupdError as {@link bootSession}.
 */
export function bootSessionIfAny(
  device: DeviceRoot,
  configuration: Configuration,
  context: CliContext,
): BootSession | undefined {
  const boots = Object.values(configuration.stacks).some((stack) => stack.switch === 'boot');
  return boots ? bootSession(device, configuration, context) : undefined;
}

/** As {@link bootSessionIfAny}, for commands that can also do without a boot partition: undefined where none is mounted. */
export function bootSessionIfMounted(
  device: DeviceRoot,
  configuration: Configuration,
  context: CliContext,
): BootSession | undefined {
  try {
    return bootSessionIfAny(device, configuration, context);
  } catch (error) {
    // Also where this user may not look.
    if (error instanceof OsupdError && ['not-found', 'io'].includes(error.code)) return undefined;
    throw error;
  }
}

/** Notes what did not come up, where there is a boot partition to find it out from. The caller holds the device's lock. */
export async function settleStacks(
  device: DeviceRoot,
  configuration: Configuration,
  context: CliContext,
): Promise<void> {
  const session = bootSessionIfMounted(device, configuration, context);
  if (session !== undefined) await settleBoot(session);
}
