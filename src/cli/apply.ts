/** `osupd switch --apply`: what is prepared for the next start comes into use at once. */
import { OsupdError } from '../core/errors.ts';
import { type Apply, type ApplyChoice, chooseApply } from '../deploy/boot/choose-apply.ts';
import { bootedId } from '../deploy/boot/session.ts';
import { prepareSoftReboot, runningSystemd, startAgain } from '../deploy/boot/soft-reboot.ts';
import type { BootChange } from '../deploy/boot/switch-boot.ts';
import { stackNamed } from '../deploy/configuration.ts';
import { bootSession } from './boot-session.ts';
import type { StartSwitch } from './switch-at-start.ts';

/** Values of `--apply`. */
export type ApplyWay = 'auto' | Apply;

/**
 * How changes come into use: as is asked for, or as {@link chooseApply} says.
 * @throws OsupdError `unsupported` where a soft reboot is asked for, but does not bring all of it into use.
 */
export async function chooseWay(changes: readonly BootChange[], way: ApplyWay, job: StartSwitch): Promise<ApplyChoice> {
  const { device, configuration, context } = job;
  const [change] = changes;
  if (way === 'reboot' || change === undefined) return { apply: 'reboot', reason: 'it was asked for' };
  const session = bootSession(device, configuration, context);
  const { mountpoint, switch: mode } = stackNamed(configuration, change.stack);
  const booted = session.boot.entries(change.stack).find(({ id }) => id === bootedId(session, change.stack));
  const choice: ApplyChoice =
    changes.length > 1
      ? { apply: 'reboot', reason: 'several stacks change' }
      : chooseApply({
          ...{ mountpoint, switch: mode, systemd: await runningSystemd() },
          ...{ booted: booted?.contents, next: change.entry.contents },
        });
  if (way === 'auto' || choice.apply === way) return choice;
  throw new OsupdError('unsupported', `a soft reboot is not enough: ${choice.reason}`, {
    where: change.stack,
    remedy: 'its entry is written; restart the machine, or give --apply=reboot',
    facts: { apply: choice.apply },
  });
}

/** Does it; nothing where the running system is to stay. Call it last, without the device's lock. */
export async function applyNow({ apply }: ApplyChoice, changes: readonly BootChange[]): Promise<void> {
  const [change] = changes;
  if (change === undefined || apply === 'live') return;
  if (apply === 'soft-reboot') await prepareSoftReboot({ arguments: change.entry.contents.options });
  await startAgain(apply);
}
