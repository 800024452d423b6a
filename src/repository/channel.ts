/** The channel policy: which release of each name a channel offers, to whom, from when (docs/formats/repository.md). */
import { OsupdError } from '../core/errors.ts';
import { MAX_MANIFEST_ENTRIES, MAX_RAMP_POINTS } from '../core/limits.ts';
import { encodeDocument, type JsonFields, parseDocument } from './json-fields.ts';
import { isName, isVersion } from './layout.ts';

/** A time (UTC, `2030-01-31T23:59:59Z`) and the percentage of devices that may have the release then. */
export type RampPoint = readonly [time: string, percent: number];

export interface ChannelRelease {
  readonly version: string;
  /** Times ascend. Empty: for all devices at once. Between points the percentage is linear; 0 before the first. */
  readonly ramp: readonly RampPoint[];
  /** Nobody may switch who has not done so yet. */
  readonly halted: boolean;
  /** Maintenance windows are not waited for. */
  readonly urgent: boolean;
  /** Devices refuse versions that are older than this. */
  readonly floor?: string;
}

export interface Channel {
  readonly schema: 'osupd-channel/1';
  readonly channel: string;
  readonly releases: Readonly<Record<string, ChannelRelease>>;
  /** Named groups of devices with a position of their own in the rollout, 0 being first. */
  readonly groups?: Readonly<Record<string, GroupPolicy>>;
}

export interface GroupPolicy {
  /** 0 to 1. */
  readonly position: number;
}

const FIELDS = ['schema', 'critical', 'channel', 'releases', 'groups'];

/**
 * Parses a channel policy.
 * @param where what the bytes are, for messages
 * @throws OsupdError `verification-failed`
 */
export function parseChannel(bytes: Uint8Array, where: string): Channel {
  const fields = parseDocument(
    bytes,
    'osupd-channel/1',
    FIELDS,
    (what) => new OsupdError('verification-failed', `not a valid channel: ${what}`, { where }),
  );
  return {
    schema: 'osupd-channel/1',
    channel: fields.string('channel', isName),
    releases: parseMap(fields.object('releases'), parseChannelRelease),
    ...(fields.has('groups') ? { groups: parseMap(fields.object('groups'), parseGroup) } : {}),
  };
}

/** The bytes of a channel policy; names are sorted, so the same policy gives the same bytes. */
export function encodeChannel(channel: Channel): Buffer {
  const { groups, ...rest } = channel;
  return encodeDocument({
    ...rest,
    releases: sortNames(channel.releases),
    ...(groups === undefined ? {} : { groups: sortNames(groups) }),
  });
}

function parseChannelRelease(fields: JsonFields): ChannelRelease {
  return {
    version: fields.string('version', isVersion),
    ramp: fields.has('ramp') ? parseRamp(fields) : [],
    halted: fields.has('halted') ? fields.boolean('halted') : false,
    urgent: fields.has('urgent') ? fields.boolean('urgent') : false,
    ...(fields.has('floor') ? { floor: fields.string('floor', isVersion) } : {}),
  };
}

function parseRamp(fields: JsonFields): RampPoint[] {
  let before = '';
  return fields.list('ramp', MAX_RAMP_POINTS).map((item) => {
    if (!Array.isArray(item) || item.length !== 2) throw fields.bad('ramp', 'has a point that is not [time, percent]');
    const [time, percent] = item as [unknown, unknown];
    if (!isRampTime(time)) throw fields.bad('ramp', 'has a time that is not like 2030-01-31T23:59:59Z');
    if (typeof percent !== 'number' || !(percent >= 0 && percent <= 100)) {
      throw fields.bad('ramp', 'has a percentage that is not between 0 and 100');
    }
    if (time <= before) throw fields.bad('ramp', 'has times that do not ascend');
    before = time;
    return [time, percent];
  });
}

function isRampTime(value: unknown): value is string {
  return (
    typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value) && !Number.isNaN(Date.parse(value))
  );
}

function parseGroup(fields: JsonFields): GroupPolicy {
  return { position: fields.number('position', 0, 1) };
}

function parseMap<Value>(fields: JsonFields, parse: (fields: JsonFields) => Value): Record<string, Value> {
  const names = fields.names(isName, MAX_MANIFEST_ENTRIES);
  return Object.fromEntries(names.map((name) => [name, parse(fields.object(name))]));
}

function sortNames<Value>(map: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}
