/** `repo channel`: which release a channel offers. */
import { OsupdError } from '../core/errors.ts';
import { type Channel, type ChannelRelease, encodeChannel, parseChannel, type RampPoint } from './channel.ts';
import { channelTarget, type ReleaseReference } from './layout.ts';
import { requirePublished } from './publish.ts';
import { Revision, type RevisionOptions } from './revision.ts';
import type { RoleName } from './roles.ts';
import { compareVersions } from './version-order.ts';
import { readTarget, readView } from './view.ts';

/** What changes in a channel's offer of a name; what is not given stays as it is. */
export interface ChannelPolicy {
  readonly ramp?: readonly RampPoint[];
  readonly halted?: boolean;
  readonly urgent?: boolean;
  readonly floor?: string;
}

export interface ChannelOptions extends RevisionOptions {
  readonly channel: string;
  readonly releases: readonly ReleaseReference[];
  readonly policy: ChannelPolicy;
}

export interface ChannelSet {
  readonly channel: Channel;
  /** False when the channel was like this before: readers see no difference. */
  readonly changed: boolean;
  /** Roles whose signatures are missing yet ({@link RevisionOptions.signLater}). */
  readonly waiting: readonly RoleName[];
}

/**
 * Makes a channel offer releases; the channel is made when it does not exist. A version that the channel did not offer before
 * begins with no ramp, neither halted nor urgent, unless the policy says so; the floor stays.
 * @throws OsupdError `usage` for two releases of one name, or one below the floor; `not-found` for a release that is not published or a missing key; `busy`
 */
export async function setChannel(options: ChannelOptions): Promise<ChannelSet> {
  const names = options.releases.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined)
    throw new OsupdError('usage', `a channel offers one release of each name, not two of ${twice}`);
  using revision = await Revision.begin(options);
  revision.requireKeys('channels', 'snapshot', 'timestamp');
  const target = channelTarget(options.channel);
  const bytes = await revision.readTarget(target);
  const before = bytes === undefined ? undefined : parseChannel(bytes, target);
  const releases: Record<string, ChannelRelease> = { ...before?.releases };
  for (const reference of options.releases) {
    await requirePublished(revision, reference);
    const offer = nextOffer(releases[reference.name], reference.version, options.policy);
    checkFloor(reference.name, offer);
    releases[reference.name] = offer;
  }
  const channel: Channel = { schema: 'osupd-channel/1', channel: options.channel, ...before, releases };
  revision.setTarget(target, encodeChannel(channel));
  const { roles, waiting } = await revision.commit();
  return { channel, changed: roles.length > 0, waiting };
}

/**
 * A channel as the repository has it now.
 * @throws OsupdError `not-found` for a channel that does not exist
 */
export async function readChannel(directory: string, name: string): Promise<Channel> {
  const target = channelTarget(name);
  const info = (await readView(directory)).delegated.channels.signed.targets[target];
  if (info === undefined) {
    throw new OsupdError('not-found', `there is no channel "${name}"`, {
      where: directory,
      remedy: `make it: osupd repo channel ${directory} --keys KEYS ${name} NAME@VERSION`,
    });
  }
  return parseChannel(await readTarget(directory, target, info), target);
}

function nextOffer(before: ChannelRelease | undefined, version: string, policy: ChannelPolicy): ChannelRelease {
  const same = before?.version === version ? before : undefined;
  const floor = policy.floor ?? before?.floor;
  return {
    version,
    ramp: policy.ramp ?? same?.ramp ?? [],
    halted: policy.halted ?? same?.halted ?? false,
    urgent: policy.urgent ?? same?.urgent ?? false,
    ...(floor === undefined ? {} : { floor }),
  };
}

/** Every device would refuse such an offer. */
function checkFloor(name: string, { version, floor }: ChannelRelease): void {
  if (floor === undefined || compareVersions(version, floor) >= 0) return;
  throw new OsupdError('usage', `${name}@${version} is older than the floor ${floor}: devices would refuse it`, {
    remedy: `offer ${floor} or newer, or lower the floor with --floor ${version}`,
  });
}
