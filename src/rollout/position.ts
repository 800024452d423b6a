/**
 * Where a device stands in the rollout of one release, and how far the rollout is. Nothing is kept and nobody is asked:
 * the position follows from the machine's identity and the release, the ramp from the signed channel and the clock.
 */
import { createHash, createHmac } from 'node:crypto';
import { OsupdError } from '../core/errors.ts';
import type { ChannelRelease, RampPoint } from '../repository/channel.ts';
import { formatTime } from '../repository/json-fields.ts';

/** Names osupd in machine identities derived for applications (sd_id128_get_machine_app_specific(3)). Never to be changed. */
const APPLICATION_ID = Buffer.from('5f1c0b7c9d0e4c6aa7d2f3b1e8640957', 'hex');

/** A position that every ramp reaches only at its end: for a machine without an identity. */
const LAST_POSITION = 1;

/**
 * A number from 0 to 1 that is the device's own for this release: including name and version makes other devices first each time.
 * `u64be(SHA-256("osupd-rollout/1" 00 machine 00 channel 00 name 00 version)[0..8]) / 2^64`, where `machine` is the
 * HMAC-SHA256 of the application's ID under the machine ID, so that the ID itself goes nowhere.
 * @param machineId the text of /etc/machine-id: 32 hexadecimal digits
 */
export function rolloutPosition(machineId: string, channel: string, name: string, version: string): number {
  const text = machineId.trim();
  if (!/^[0-9a-f]{32}$/.test(text)) return LAST_POSITION;
  const machine = createHmac('sha256', Buffer.from(text, 'hex')).update(APPLICATION_ID).digest();
  const hash = createHash('sha256').update('osupd-rollout/1\0').update(machine);
  const digest = hash.update(`\0${channel}\0${name}\0${version}`).digest();
  return Number(digest.readBigUInt64BE(0)) / 2 ** 64;
}

/** The part of all devices, from 0 to 1, that may have a release now: linear between the points of its ramp. */
export function rampAt(ramp: readonly RampPoint[], now: Date): number {
  if (ramp.length === 0) return 1;
  const time = now.getTime();
  const next = ramp.findIndex(([at]) => Date.parse(at) > time);
  if (next === 0) return 0;
  const [from, percent] = ramp.at(next === -1 ? -1 : next - 1) as RampPoint;
  if (next === -1) return percent / 100;
  const [to, target] = ramp[next] as RampPoint;
  const share = (time - Date.parse(from)) / (Date.parse(to) - Date.parse(from));
  return (percent + (target - percent) * share) / 100;
}

/** When the ramp passes a position; undefined when it never does. */
export function rampReaches(ramp: readonly RampPoint[], position: number): Date | undefined {
  for (const [index, [at, percent]] of ramp.entries()) {
    if (percent / 100 <= position) continue;
    const before = ramp[index - 1];
    if (before === undefined) return new Date(at);
    const [from, start] = [Date.parse(before[0]), before[1]];
    const share = Math.max(0, (position * 100 - start) / (percent - start));
    return new Date(from + (Date.parse(at) - from) * share);
  }
  return undefined;
}

/**
 * Checks whether a device may take what a channel offers.
 * @param what the release, for messages: `os 2`
 * @throws OsupdError `held-back` by which gate, and until when where that is known
 */
export function checkRollout(release: ChannelRelease, position: number, now: Date, what: string): void {
  if (release.halted) {
    throw new OsupdError('held-back', `the rollout of ${what} is halted`, { facts: { gate: 'halted' } });
  }
  const ramp = rampAt(release.ramp, now);
  // A finished ramp takes everybody, also a machine without an identity.
  if (position < ramp || ramp >= 1) return;
  const reached = rampReaches(release.ramp, position);
  const expected = reached && formatTime(reached);
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
  const until = expected === undefined ? 'with no time set yet' : `until about ${expected}`;
  throw new OsupdError(
    'held-back',
    `the rollout of ${what} is at ${percent(ramp)} and this device at ${percent(position)}: held back ${until}`,
    { facts: { gate: 'ramp', position, ramp, ...(expected === undefined ? {} : { expected }) } },
  );
}
