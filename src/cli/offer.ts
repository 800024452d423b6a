/** What a channel offers of one name, and whether this machine may have it now. */
import { readFileSync } from 'node:fs';
import { machine } from 'node:os';
import { isSystemError, OsupdError } from '../core/errors.ts';
import type { Channel, ChannelRelease } from '../repository/channel.ts';
import type { Release } from '../repository/release.ts';
import { compareVersions } from '../repository/version-order.ts';
import { checkRollout, rolloutPosition } from '../rollout/position.ts';

const MACHINE_ID_FILE = '/etc/machine-id';

/** @throws OsupdError `not-found`; `verification-failed` where the channel offers less than its own floor. */
export function offerOf(channel: Channel, name: string): ChannelRelease {
  const offered = Object.hasOwn(channel.releases, name) ? channel.releases[name] : undefined;
  if (offered === undefined) {
    throw new OsupdError('not-found', `channel ${channel.channel} has no release of ${name}`, {
      remedy: `it has ${Object.keys(channel.releases).join(', ') || 'none at all'}`,
    });
  }
  const { version, floor } = offered;
  if (floor !== undefined && compareVersions(version, floor) < 0) {
    throw new OsupdError('verification-failed', `${name} ${version} is older than the channel's floor ${floor}`, {
      where: `channel ${channel.channel}`,
      remedy: 'ask the operator of the repository to correct the channel',
    });
  }
  return offered;
}

/** @throws OsupdError `unsupported` for a release that is made for other machines. */
export function checkArchitecture({ name, version, architecture }: Release): void {
  if (architecture === 'any' || architecture === machine()) return;
  throw new OsupdError('unsupported', `${name} ${version} is for ${architecture}, this machine is ${machine()}`, {
    remedy: 'follow a channel for this architecture',
    facts: { architecture, machine: machine() },
  });
}

/**
 * Why the device may not take a release yet; undefined when it may.
 * @param options `gradual`: whether the ramp counts. For a device that has nothing yet, or has pulled the release already,
 *   only a halt does.
 */
export function heldBack(
  { name, version }: Release,
  channel: Channel,
  options: { readonly gradual: boolean; readonly now: Date },
): OsupdError | undefined {
  const offered = offerOf(channel, name);
  const ramp = options.gradual ? offered.ramp : [];
  const position = ramp.length === 0 ? 0 : rolloutPosition(readMachineId(), channel.channel, name, version);
  try {
    checkRollout({ ...offered, ramp }, position, options.now, `${name} ${version}`);
    return undefined;
  } catch (error) {
    if (error instanceof OsupdError && error.code === 'held-back') return error;
    throw error;
  }
}

function readMachineId(): string {
  try {
    return readFileSync(MACHINE_ID_FILE, 'utf8');
  } catch (error) {
    // A chroot or a first boot: the machine has no identity, and the last position.
    if (isSystemError(error, 'ENOENT')) return '';
    throw error;
  }
}
