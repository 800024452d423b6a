/** Setting up a device: its root directory, whom it trusts, and what it follows. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stringify } from 'smol-toml';
import { OsupdError, toOsupdError } from '../core/errors.ts';
import { syncDirectory, writeFileDurably } from '../sys/durable.ts';
import { defaultSwitch } from './configuration.ts';
import { type ConfigurationPart, parseConfiguration, type StackPart } from './configuration-file.ts';
import { DeviceRoot } from './device.ts';
import { checkRoot, pinnedRoot, pinRoot, type RootFacts } from './trusted-root.ts';

export interface InitRequest {
  /** Directory of the device's root. */
  readonly directory: string;
  /** The file to write the configuration to. */
  readonly configurationFile: string;
  readonly url: readonly string[];
  readonly channel: string;
  /** Without a mountpoint the stack shows at `mnt/NAME` in the root. */
  readonly stack: { readonly name: string } & StackPart;
  /** The repository's root metadata, and where it came from. */
  readonly trust: { readonly bytes: Uint8Array; readonly where: string };
  /** Replace another configuration and another pinned root. */
  readonly force: boolean;
}

export interface InitResult {
  readonly device: DeviceRoot;
  readonly root: RootFacts;
  /** False when everything was there already. */
  readonly changed: boolean;
}

/**
 * Sets a device up; does it again when it was cut off, and nothing when it is done. The configuration is written last: a
 * device that has one is complete.
 * @throws OsupdError `verification-failed` for a bad root; `usage` for values that cannot be, and when the device was set up with
 *   others; `busy`.
 */
export async function initDevice(request: InitRequest): Promise<InitResult> {
  const { directory, configurationFile, trust, force } = request;
  const root = checkRoot(trust.bytes, trust.where);
  const text = configurationText(request);
  const wanted = parseConfiguration(text, 'the command line');
  const configured = !force && isConfigured(configurationFile, wanted);
  const device = await DeviceRoot.create(directory);
  using _lock = device.lock();
  const pinned = pinnedRoot(device);
  const trusted = pinned?.equals(trust.bytes) ?? false;
  if (pinned !== undefined && !trusted && !force) {
    throw new OsupdError('usage', 'this device trusts another root', {
      where: device.trustDirectory,
      remedy: 'give --force to replace it',
    });
  }
  if (!trusted) await pinRoot(device, trust.bytes);
  // An address with a password or a token in it is for root alone.
  const secret = request.url.some((url) => /^https?:\/\/[^/]*@|\?/i.test(url));
  if (!configured) await writeConfiguration(configurationFile, text, secret ? 0o600 : 0o644);
  return { device, root, changed: !trusted || !configured };
}

/** True when the file says what is wanted already. What it says beyond that stays. @throws OsupdError `usage` when it says something else. */
function isConfigured(file: string, wanted: ConfigurationPart): boolean {
  if (!existsSync(file)) return false;
  const found = parseConfiguration(readFileSync(file, 'utf8'), file);
  const differing = Object.entries({ url: wanted.url, channel: wanted.channel })
    .filter(([key, value]) => !isSame(found[key as 'url' | 'channel'], value))
    .map(([key]) => key);
  for (const [name, stack] of Object.entries(wanted.stack ?? {})) {
    const existing: StackPart = found.stack?.[name] ?? {};
    for (const key of ['mountpoint', 'images', 'switch'] as const) {
      if (!isSame(existing[key], stack[key])) differing.push(`stack.${name}.${key}`);
    }
  }
  if (differing.length === 0) return true;
  throw new OsupdError('usage', `this device was set up with another ${differing.join(', ')}`, {
    where: file,
    remedy: 'edit this file, or give --force to replace it',
    facts: { keys: differing },
  });
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function configurationText({ directory, url, channel, stack }: InitRequest): string {
  const { name, mountpoint = join(directory, 'mnt', name), images, switch: mode = defaultSwitch(mountpoint) } = stack;
  const values = {
    url: url.length === 1 ? (url[0] ?? '') : [...url],
    channel,
    stack: { [name]: { mountpoint, ...(images === undefined ? {} : { images: [...images] }), switch: mode } },
  };
  return `# Written by osupd init; docs/deployments.md explains every key.\n${stringify(values)}`;
}

async function writeConfiguration(file: string, text: string, mode: number): Promise<void> {
  try {
    const made = mkdirSync(dirname(file), { recursive: true });
    if (made !== undefined) syncDirectory(dirname(made));
  } catch (error) {
    throw toOsupdError(error, file);
  }
  await writeFileDurably(file, text, mode);
}
