/** The view of a repository for a device that does not exist yet. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OsupdError } from '../core/errors.ts';
import { imagesOfStack } from '../deploy/configuration.ts';
import { DeviceRoot } from '../deploy/device.ts';
import { checkRoot, pinRoot } from '../deploy/trusted-root.ts';
import { openTrust, type Trust } from '../pull/trust.ts';
import { parseReleaseReference } from '../repository/layout.ts';
import type { Release } from '../repository/release.ts';
import { CountingSource } from '../transport/counting.ts';
import { openSource } from '../transport/open.ts';
import type { CliContext } from './context.ts';
import { heldBack, offerOf } from './offer.ts';
import { readLocation } from './read-location.ts';

export interface NewDeviceOptions {
  readonly channel: string;
  readonly stack: string;
  /** Names, the topmost first; undefined: found in the channel. */
  readonly images: readonly string[] | undefined;
  /** `NAME@VERSION`: in place of what the channel offers of the name. */
  readonly versions: readonly string[];
  /** The root metadata: a file or a URL. */
  readonly trust: string;
}

export interface NewDeviceView extends AsyncDisposable {
  readonly source: CountingSource;
  readonly trust: Trust;
  /** Holds what was verified. */
  readonly trustDirectory: string;
  /** What the channel, or the options, have for the stack: the topmost first. */
  readonly releases: readonly Release[];
}

/**
 * @param mirrors the preferred first.
 * @throws OsupdError `verification-failed`, `network`, `not-found`, `held-back` for a channel that is halted, `usage`.
 */
export async function openNewDevice(
  mirrors: readonly string[],
  options: NewDeviceOptions,
  context: CliContext,
): Promise<NewDeviceView> {
  const bytes = await readLocation(options.trust, context);
  checkRoot(bytes, options.trust);
  const opened = new AsyncDisposableStack();
  try {
    const directory = mkdtempSync(join(context.environment.TMPDIR ?? tmpdir(), 'osupd-install-'));
    opened.defer(() => rmSync(directory, { recursive: true, force: true }));
    const { trustDirectory } = await pinned(directory, bytes);
    const http = { userAgent: `osupd/${context.version}`, environment: context.environment, random: Math.random };
    const source = new CountingSource(await openSource(mirrors, http));
    opened.defer(() => source.close());
    const trust = await openTrust({ directory: trustDirectory, source, signal: context.signal });
    opened.defer(() => trust.close());
    const releases = await chooseReleases(trust, options, context);
    return { source, trust, trustDirectory, releases, [Symbol.asyncDispose]: () => opened.disposeAsync() };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

async function pinned(directory: string, root: Uint8Array): Promise<DeviceRoot> {
  const device = await DeviceRoot.create(directory);
  await pinRoot(device, root);
  return device;
}

async function chooseReleases(
  trust: Trust,
  { channel: name, stack, images, versions }: NewDeviceOptions,
  context: CliContext,
): Promise<Release[]> {
  const channel = await trust.channel(name);
  const fixed = new Map(versions.map(parseReleaseReference).map((reference) => [reference.name, reference.version]));
  const configured = {
    mountpoint: '/',
    switch: 'boot',
    etc: 'merge',
    ...(images === undefined ? {} : { images }),
  } as const;
  const names = imagesOfStack(stack, configured, Object.keys(channel.releases));
  const stray = [...fixed.keys()].find((each) => !names.includes(each));
  if (stray !== undefined) {
    throw new OsupdError('usage', `${stray} is no image of the stack ${stack}`, {
      where: '--release',
      remedy: `its images are ${names.join(', ')}; --image names others`,
    });
  }
  const releases: Release[] = [];
  for (const image of names) {
    const version = fixed.get(image);
    const release = await trust.release({ name: image, version: version ?? offerOf(channel, image).version });
    const held = version === undefined ? heldBack(release, channel, { gradual: false, now: context.now() }) : undefined;
    if (held !== undefined) throw held;
    releases.push(release);
  }
  return releases;
}
