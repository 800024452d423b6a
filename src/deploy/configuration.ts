/** What a device is told to follow: repository, channel and stacks, from one or more configuration files. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, OsupdError } from '../core/errors.ts';
import { MAX_CONFIGURATION_BYTES } from '../core/limits.ts';
import type { BootConfiguration } from './boot/kernel-arguments.ts';
import {
  type ConfigurationPart,
  type EtcPolicy,
  parseConfiguration,
  type SwitchMode,
  type VerityMode,
} from './configuration-file.ts';

export interface StackConfiguration {
  /** Absolute path where the stack shows. */
  readonly mountpoint: string;
  /** Names of the images, the topmost first (apps over the OS). Left out: {@link imagesOfStack} finds them. */
  readonly images?: readonly string[];
  readonly switch: SwitchMode;
  /** For a stack that is booted. */
  readonly etc: EtcPolicy;
}

export interface Configuration {
  /** The repository and its mirrors, the preferred first. */
  readonly url: readonly string[];
  readonly channel: string;
  readonly stacks: Readonly<Record<string, StackConfiguration>>;
  /** Old deployments of each stack that gc leaves, the rollback among them. */
  readonly keep: number;
  readonly verity: VerityMode;
  readonly boot: BootConfiguration;
}

/** Directories of the system's configuration, the weaker first. */
const SYSTEM_DIRECTORIES: readonly string[] = ['/usr/lib/osupd', '/etc/osupd'];

const FILE_NAME = 'osupd.toml';

/** Attempts of a new deployment to boot, when the configuration says nothing. */
const DEFAULT_TRIES = 3;

/**
 * The file that `osupd init` writes and the administrator edits.
 * @param options `config`: the file given with --config; `root`: the directory given with --root, when one was given.
 */
export function mainConfigurationFile(options: { readonly config?: string; readonly root?: string }): string {
  if (options.config !== undefined) return options.config;
  return join(options.root ?? SYSTEM_DIRECTORIES.at(-1) ?? '', FILE_NAME);
}

/**
 * Reads the configuration: with `config` that file, else with `root` the root's own `osupd.toml`, else those of the
 * system, each followed by the `*.toml` files of the directory `FILE.d` in the order of their names. Later files win key by key.
 *
 * @param options as for {@link mainConfigurationFile}; `system` replaces the system's directories.
 * @throws OsupdError `not-found` when there is no file; `usage` with file and key for anything that cannot be understood.
 */
export function readConfiguration(options: {
  readonly config?: string;
  readonly root?: string;
  readonly system?: readonly string[];
}): Configuration {
  const own = options.config !== undefined || options.root !== undefined;
  const files = own
    ? [mainConfigurationFile(options)]
    : (options.system ?? SYSTEM_DIRECTORIES).map((directory) => join(directory, FILE_NAME));
  const found = files.flatMap((file) => [...(existsSync(file) ? [file] : []), ...dropIns(file)]);
  if (options.config !== undefined && found[0] !== options.config) throw missing(options.config);
  const [first] = found;
  if (first === undefined) throw missing(files.at(-1) ?? '');
  return complete(
    found.map((file) => parseConfiguration(readText(file), file)).reduce(merge, {}),
    found.length === 1 ? first : found.join(', '),
  );
}

function missing(where: string): OsupdError {
  return new OsupdError('not-found', 'there is no configuration', {
    where,
    remedy: 'run osupd init, or give --root or --config',
  });
}

function dropIns(file: string): string[] {
  try {
    const names = readdirSync(`${file}.d`).filter((name) => name.endsWith('.toml') && !name.startsWith('.'));
    return names.sort().map((name) => join(`${file}.d`, name));
  } catch (error) {
    // No directory of drop-ins is the usual case.
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) return [];
    throw error;
  }
}

function readText(file: string): string {
  const { size } = statSync(file);
  if (size > MAX_CONFIGURATION_BYTES) {
    throw new OsupdError('limit-exceeded', `a configuration of ${size} bytes; ${MAX_CONFIGURATION_BYTES} is the most`, {
      where: file,
    });
  }
  return readFileSync(file, 'utf8');
}

function merge(weak: ConfigurationPart, strong: ConfigurationPart): ConfigurationPart {
  const stack = { ...weak.stack };
  for (const [name, part] of Object.entries(strong.stack ?? {})) stack[name] = { ...stack[name], ...part };
  return { ...weak, ...strong, stack, boot: { ...weak.boot, ...strong.boot } };
}

function complete(part: ConfigurationPart, where: string): Configuration {
  const need = (key: string): OsupdError =>
    new OsupdError('usage', `${key} is missing`, { where, facts: { key }, remedy: 'see docs/deployments.md' });
  if (part.url === undefined) throw need('url');
  const stacks: Record<string, StackConfiguration> = {};
  const owners = new Map<string, string>();
  for (const [name, { mountpoint, images, switch: mode, etc = 'merge' }] of Object.entries(part.stack ?? {})) {
    if (mountpoint === undefined) throw need(`stack.${name}.mountpoint`);
    const owner = owners.get(mountpoint);
    if (owner !== undefined) {
      throw new OsupdError('usage', `stacks ${owner} and ${name} have the same mountpoint ${mountpoint}`, { where });
    }
    owners.set(mountpoint, name);
    stacks[name] = {
      mountpoint,
      ...(images === undefined ? {} : { images }),
      switch: mode ?? defaultSwitch(mountpoint),
      etc,
    };
  }
  if (owners.size === 0) throw need('[stack.NAME]');
  return {
    url: part.url,
    channel: part.channel ?? 'stable',
    stacks,
    keep: part.keep ?? 1,
    verity: part.verity ?? 'auto',
    boot: { loader: 'systemd-boot', arguments: [], tries: DEFAULT_TRIES, ...part.boot },
  };
}

/** The root of the running system cannot be exchanged under its processes. */
export function defaultSwitch(mountpoint: string): SwitchMode {
  return mountpoint === '/' ? 'boot' : 'live';
}

/**
 * The names of a stack's images: those of its configuration, else the only release of the channel, else `os`.
 * @param available names of all releases of the channel.
 * @throws OsupdError `usage` when neither decides.
 */
export function imagesOfStack(
  name: string,
  stack: StackConfiguration,
  available: readonly string[],
): readonly string[] {
  if (stack.images !== undefined) return stack.images;
  if (available.length === 1) return available;
  if (available.includes('os')) return ['os'];
  const choices = available.length === 0 ? 'has no release' : `has ${[...available].sort().join(', ')}`;
  throw new OsupdError('usage', `the channel ${choices}; which of them make stack ${name} is not configured`, {
    where: `stack.${name}.images`,
    remedy: `set images = ["…"] under [stack.${name}], the topmost first`,
    facts: { available: [...available] },
  });
}

/** The configuration of one stack. @throws OsupdError `not-found` that names the stacks there are. */
export function stackNamed(configuration: Configuration, name: string): StackConfiguration {
  const stack = Object.hasOwn(configuration.stacks, name) ? configuration.stacks[name] : undefined;
  if (stack !== undefined) return stack;
  throw new OsupdError('not-found', `there is no stack ${name}`, {
    remedy: `configured: ${Object.keys(configuration.stacks).join(', ')}`,
  });
}
