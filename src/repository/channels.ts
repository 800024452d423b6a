/** `repo channel`: which release a channel offers. */
import { OsupdError } from '../core/errors.ts';
import { type Channel, type ChannelRelease, encodeChannel, parseChannel, type RampPoint } from './channel.ts';
import type { KeyRing } from './key-ring.ts';
import { channelTarget, type ReleaseReference, releaseTarget } from './layout.ts';
import { readPublished } from './publish.ts';
import { Revision } from './revision.ts';
import { readTarget, readView } from './view.ts';

/** What changes in a channel's offer of a name; what is not given stays as it is. */
export interface ChannelPolicy {
  readonly ramp?: readonly RampPoint[];
  readonly halted?: boolean;
  readonly urgent?: boolean;
  readonly floor?: string;
}

export interface ChannelOptions {
  readonly directory: string;
  readonly ring: KeyRing;
  readonly channel: string;
  readonly releases: readonly ReleaseReference[];
  readonly policy: ChannelPolicy;
  readonly now: Date;
}

/**
 * Makes a channel offer releases; the channel is made when it does not exist. A version that the channel did not offer before
 * begins with no ramp, neither halted nor urgent, unless the policy says so; the floor stays.
 * @returns the channel, and whether anything changed
 * @throws OsupdError `not-found` for a release that is not published or a missing key; `busy`
 */
export async function setChannel(options: ChannelOptions): Promise<{ channel: Channel; changed: boolean }> {
  const { directory, ring, now } = options;
  using revision = await Revision.begin(directory, ring, now);
  revision.requireKeys('channels');
  const target = channelTarget(options.channel);
  const bytes = await revision.readTarget(target);
  const before = bytes === undefined ? undefined : parseChannel(bytes, target);
  const releases: Record<string, ChannelRelease> = { ...before?.releases };
  for (const reference of options.releases) {
    if ((await readPublished(revision, reference)) === undefined) throw unpublished(reference, directory);
    releases[reference.name] = nextOffer(releases[reference.name], reference.version, options.policy);
  }
  const channel: Channel = { schema: 'osupd-channel/1', channel: options.channel, ...before, releases };
  revision.setTarget(target, encodeChannel(channel));
  return { channel, changed: (await revision.commit()).length > 0 };
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

function unpublished(reference: ReleaseReference, where: string): OsupdError {
  const name = `${reference.name}@${reference.version}`;
  return new OsupdError('not-found', `${name} is not published`, {
    where,
    remedy: `publish it first: osupd repo publish ${where} --keys KEYS --pool POOL ${name}`,
    facts: { target: releaseTarget(reference) },
  });
}
