/** One configuration file (TOML): strict about keys, types and values, so that a typing error is a message and not a default. */
import { parse, TomlDate, TomlError, type TomlTableWithoutBigInt, type TomlValueWithoutBigInt } from 'smol-toml';
import { OsupdError } from '../core/errors.ts';
import { isName } from '../repository/layout.ts';
import { MAX_TRIES } from './boot/entry.ts';
import { isKernelArgument } from './boot/kernel-arguments.ts';
import { isStackName } from './stack-name.ts';

/** How osupd asks the kernel to check objects on every read: always, where all objects have fs-verity, or never. */
export type VerityMode = 'require' | 'auto' | 'off';

/** How a stack moves to another deployment: under its readers, or when the machine starts. */
export type SwitchMode = 'live' | 'boot';

/** What becomes of local changes in /etc when another deployment is booted. */
export type EtcPolicy = 'merge' | 'keep' | 'volatile';

/** The keys that one file may give for a stack. */
export interface StackPart {
  readonly mountpoint?: string;
  readonly images?: readonly string[];
  readonly switch?: SwitchMode;
  readonly etc?: EtcPolicy;
}

/** The keys that one file may give in `[boot]`. */
export interface BootPart {
  readonly directory?: string;
  readonly loader?: 'systemd-boot' | 'grub';
  readonly arguments?: readonly string[];
  readonly tries?: number;
  readonly verity?: 'require' | 'try' | 'off';
  readonly failure?: string;
  readonly writable?: readonly string[];
}

/** The keys that one file may give; what is left out comes from another file or a default. */
export interface ConfigurationPart {
  readonly url?: readonly string[];
  readonly channel?: string;
  readonly keep?: number;
  readonly verity?: VerityMode;
  readonly boot?: BootPart;
  readonly stack?: Readonly<Record<string, StackPart>>;
}

type Value = TomlValueWithoutBigInt;
type Check<T> = (value: Value, key: string) => T;

/**
 * Reads one configuration file.
 * @param where the file's name, for messages.
 * @throws OsupdError `usage` with the file, the key and what is expected there.
 */
export function parseConfiguration(text: string, where: string): ConfigurationPart {
  const bad = (key: string, expected: string): OsupdError =>
    new OsupdError('usage', `${key} must be ${expected}`, { where, facts: { key } });

  const string =
    (expected: string, accept: (text: string) => boolean): Check<string> =>
    (value, key) => {
      if (typeof value === 'string' && accept(value)) return value;
      throw bad(key, expected);
    };
  const list =
    (check: Check<string>): Check<readonly string[]> =>
    (value, key) => {
      if (!Array.isArray(value)) return [check(value, key)];
      if (value.length === 0) throw bad(key, 'a list that is not empty');
      const items = value.map((item) => check(item, key));
      if (new Set(items).size < items.length) throw bad(key, 'a list without repetitions');
      return items;
    };
  const choice =
    <T extends string>(...values: readonly T[]): Check<T> =>
    (value, key) => {
      const found = values.find((each) => each === value);
      if (found === undefined) throw bad(key, values.map((each) => `"${each}"`).join(' or '));
      return found;
    };
  const whole =
    (maximum: number): Check<number> =>
    (value, key) => {
      if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= maximum) return value;
      throw bad(key, `a whole number from 1 to ${maximum}`);
    };
  const table = <T extends object>(checks: { readonly [K in keyof T]-?: Check<NonNullable<T[K]>> }): Check<T> => {
    const known = new Map<string, Check<unknown>>(Object.entries(checks));
    return (value, key) => {
      const prefix = key === '' ? '' : `${key}.`;
      if (!isTable(value)) throw bad(key, 'a table');
      const found = Object.entries(value).map(([name, each]) => {
        const check = known.get(name);
        if (check === undefined) {
          throw new OsupdError('usage', `unknown key ${prefix}${name}`, {
            where,
            remedy: `known here: ${[...known.keys()].join(', ')}`,
            facts: { key: `${prefix}${name}` },
          });
        }
        return [name, check(each, `${prefix}${name}`)];
      });
      return Object.fromEntries(found) as T;
    };
  };
  const stack = table<StackPart>({
    mountpoint: string('an absolute path without . and .. parts', isMountpoint),
    images: list(string('the name of an image, or a list of names with the topmost first', isName)),
    switch: choice('live', 'boot'),
    etc: choice('merge', 'keep', 'volatile'),
  });
  const boot = table<BootPart>({
    directory: string('an absolute path without . and .. parts', isMountpoint),
    loader: choice('systemd-boot', 'grub'),
    arguments: list(
      string('kernel arguments, each one printable word that does not begin with "osupd."', isKernelArgument),
    ),
    tries: whole(MAX_TRIES),
    verity: choice('require', 'try', 'off'),
    failure: string('"reboot:SECONDS", "halt" or "shell"', (text) => /^(reboot:\d{1,5}|halt|shell)$/.test(text)),
    writable: list(string('an absolute path that is one word without ":"', isWritableDirectory)),
  });
  const stacks: Check<Record<string, StackPart>> = (value, key) => {
    if (!isTable(value)) throw bad(key, 'a table of stacks ([stack.NAME])');
    return Object.fromEntries(
      Object.entries(value).map(([name, each]) => {
        if (!isStackName(name)) throw bad(`${key}.${name}`, 'named with lower-case letters, digits, "_" and "-"');
        return [name, stack(each, `${key}.${name}`)];
      }),
    );
  };
  const file = table<ConfigurationPart>({
    url: list(string('an http:, https: or file: URL or an absolute path, or a list of them', isRepositoryAddress)),
    channel: string('the name of a channel', isName),
    keep: whole(1000),
    verity: choice('require', 'auto', 'off'),
    boot,
    stack: stacks,
  });
  return file(parseToml(text, where), '');
}

function parseToml(text: string, where: string): TomlTableWithoutBigInt {
  try {
    return parse(text, { integersAsBigInt: false });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [reason] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
    throw new OsupdError('usage', reason ?? error.message, { where: `${where}:${error.line}`, cause: error });
  }
}

function isTable(value: Value): value is TomlTableWithoutBigInt {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof TomlDate);
}

/** True for what a repository can be read from: an `http:`, `https:` or `file:` URL, or an absolute path. */
function isRepositoryAddress(text: string): boolean {
  if (text.startsWith('/')) return !/\0/.test(text);
  const url = URL.parse(text);
  if (url === null || url.hash !== '') return false;
  return url.protocol === 'file:' ? url.host === '' : ['http:', 'https:'].includes(url.protocol) && url.hostname !== '';
}

/** True for a path that can be compared as text: absolute, with neither empty parts nor `.` and `..`. */
function isMountpoint(text: string): boolean {
  if (text === '/') return true;
  const [first, ...parts] = text.split('/');
  return first === '' && parts.length > 0 && !parts.some((part) => ['', '.', '..'].includes(part)) && !/\0/.test(text);
}

/** True for a path that fits into a list of paths in one kernel argument. */
function isWritableDirectory(text: string): boolean {
  return text !== '/' && isMountpoint(text) && /^[!-9;-~]+$/.test(text);
}
