/** What the device's channel offers to its stacks, compared with what they have. */
import type { Command } from 'commander';
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import { type Configuration, imagesOfStack, stackNamed } from '../deploy/configuration.ts';
import { readDeployment } from '../deploy/deployment.ts';
import type { Deployment } from '../deploy/deployment-files.ts';
import type { DeviceRoot } from '../deploy/device.ts';
import { type FailedDeployment, failureOf, readFailed } from '../deploy/failed.ts';
import { readLinks } from '../deploy/links.ts';
import { openTrust, type Trust } from '../pull/trust.ts';
import type { Channel } from '../repository/channel.ts';
import type { Release } from '../repository/release.ts';
import { CountingSource } from '../transport/counting.ts';
import { openSource } from '../transport/open.ts';
import type { CliContext } from './context.ts';
import { openDevice } from './device.ts';
import { checkArchitecture, heldBack, offerOf } from './offer.ts';

type UpdateState =
  /** The channel offers something else than the stack has. */
  | 'available'
  /** It was pulled already and waits for the switch. */
  | 'pulled'
  /** What was pulled is not offered any more; the stack stays as it is. */
  | 'withdrawn'
  /** It failed on this device, and is not taken again before something else is offered. */
  | 'failed'
  /** The rollout does not let the device have it yet. */
  | 'held-back'
  | 'up-to-date';

/** One image that a stack should have. */
interface WantedImage {
  readonly name: string;
  readonly version: string;
  readonly digest: Digest;
  /** The version of this name that the stack has now. */
  readonly before: string | undefined;
  /** What the channel offers; undefined while the rollout holds it back and the stack keeps what it has. */
  readonly release: Release | undefined;
}

export interface StackUpdate {
  readonly stack: string;
  readonly state: UpdateState;
  /** The topmost first; empty where the rollout leaves nothing to begin with. */
  readonly images: readonly WantedImage[];
  /** Why something is held back. */
  readonly held: OsupdError | undefined;
  /** When and why it failed here. */
  readonly failed: FailedDeployment | undefined;
}

/** A device with an open view of its repository. */
export interface Updates extends AsyncDisposable {
  readonly device: DeviceRoot;
  readonly configuration: Configuration;
  readonly source: CountingSource;
  readonly trust: Trust;
  readonly stacks: readonly StackUpdate[];
}

/** What to look at: one stack only; so many bytes a second; also what failed here. */
export interface UpdateOptions {
  readonly retry?: boolean | undefined;
  readonly only?: string | undefined;
  readonly limitRate?: number | undefined;
}

/**
 * Reads the channel and what the stacks have.
 * @throws OsupdError `verification-failed`, `network`, `not-found`, `unsupported`, `usage`
 */
export async function openUpdates(command: Command, context: CliContext, options: UpdateOptions): Promise<Updates> {
  const { device, configuration } = await openDevice(command, context);
  const names = options.only === undefined ? Object.keys(configuration.stacks) : [options.only];
  for (const name of names) stackNamed(configuration, name);
  const opened = new AsyncDisposableStack();
  try {
    const view = opened.use(await openView(device, configuration, context, options.limitRate));
    const { source, trust, channel } = view;
    const stacks: StackUpdate[] = [];
    for (const name of names) {
      stacks.push(
        await updateOf(name, { device, configuration, channel, trust, now: context.now(), retry: options.retry }),
      );
    }
    return { device, configuration, source, trust, stacks, [Symbol.asyncDispose]: () => opened.disposeAsync() };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

interface RepositoryView extends AsyncDisposable {
  readonly source: CountingSource;
  readonly trust: Trust;
  readonly channel: Channel;
}

/** A mirror whose metadata is refused (stale, damaged, half copied) must not keep the device from the next one. */
const REFUSALS = ['verification-failed', 'damaged-repository'];

/** The repository, through the first mirror whose metadata is good; the failure of the preferred one where none is. */
async function openView(
  device: DeviceRoot,
  { url: mirrors, channel }: Configuration,
  context: CliContext,
  limitRate: number | undefined,
): Promise<RepositoryView> {
  let failure: unknown;
  for (let first = 0; first < mirrors.length; first++) {
    const opened = new AsyncDisposableStack();
    try {
      const order = [...mirrors.slice(first), ...mirrors.slice(0, first)];
      const source = new CountingSource(await openRepository(order, context, limitRate));
      opened.defer(() => source.close());
      const trust = await openTrust({ directory: device.trustDirectory, source, signal: context.signal });
      opened.defer(() => trust.close());
      const view = { source, trust, channel: await trust.channel(channel) };
      return { ...view, [Symbol.asyncDispose]: () => opened.disposeAsync() };
    } catch (error) {
      await opened.disposeAsync();
      failure ??= error;
      if (!(error instanceof OsupdError && REFUSALS.includes(error.code))) break;
    }
  }
  throw failure;
}

function openRepository(mirrors: readonly string[], context: CliContext, limitRate: number | undefined) {
  return openSource(mirrors, {
    userAgent: `osupd/${context.version}`,
    environment: context.environment,
    random: Math.random,
    ...(limitRate === undefined ? {} : { limitRate }),
  });
}

interface View {
  readonly device: DeviceRoot;
  readonly configuration: Configuration;
  readonly channel: Channel;
  readonly trust: Trust;
  readonly now: Date;
  readonly retry: boolean | undefined;
}

async function updateOf(stack: string, view: View): Promise<StackUpdate> {
  const { device, configuration, channel } = view;
  const links = readLinks(device, stack);
  const read = (id: string | undefined) => (id === undefined ? undefined : readDeployment(device, stack, id));
  const [current, next] = [read(links.current), read(links.next)];
  const images: WantedImage[] = [];
  let held: OsupdError | undefined;
  for (const name of imagesOfStack(stack, stackNamed(configuration, stack), Object.keys(channel.releases))) {
    const wanted = await wantedImage(name, view, current, next);
    if (wanted.image !== undefined) images.push(wanted.image);
    held ??= wanted.held;
  }
  const state = stateOf(images, held, current, next);
  const failed = state === 'available' && !view.retry ? failureOf(readFailed(device, stack), images) : undefined;
  return { stack, images, held, failed, state: failed === undefined ? state : 'failed' };
}

/** The image of a name: what is offered, or what the stack has while that is held back (none where it has nothing). */
async function wantedImage(
  name: string,
  { channel, trust, now }: View,
  current: Deployment | undefined,
  next: Deployment | undefined,
): Promise<{ image: WantedImage | undefined; held: OsupdError | undefined }> {
  const release = await trust.release({ name, version: offerOf(channel, name).version });
  checkArchitecture(release);
  const { digest } = release.image;
  const present = current?.images.find((image) => image.name === name);
  const has = (deployment: Deployment | undefined) => deployment?.images.some((image) => image.digest === digest);
  const held = has(current)
    ? undefined
    : heldBack(release, channel, { gradual: current !== undefined && !has(next), now });
  const image = { name, version: release.version, digest, before: present?.version, release };
  if (held === undefined) return { image, held };
  return {
    image: present === undefined ? undefined : { ...present, before: present.version, release: undefined },
    held,
  };
}

function stateOf(
  images: readonly WantedImage[],
  held: OsupdError | undefined,
  current: Deployment | undefined,
  next: Deployment | undefined,
): UpdateState {
  const isThere = (deployment: Deployment | undefined) =>
    deployment !== undefined &&
    deployment.images.length === images.length &&
    deployment.images.every(({ digest }, index) => digest === images[index]?.digest);
  if (isThere(current) && next !== undefined && !isThere(next)) return 'withdrawn';
  if (isThere(next)) return 'pulled';
  if (isThere(current)) return held === undefined ? 'up-to-date' : 'held-back';
  return held !== undefined && current === undefined ? 'held-back' : 'available';
}

/** `os 1 -> 2, kiosk 7`: the version before is told where it is another one. */
export function describeUpdate({ images }: StackUpdate): string {
  return images
    .map(({ name, version, before }) =>
      before === undefined || before === version ? `${name} ${version}` : `${name} ${before} -> ${version}`,
    )
    .join(', ');
}
