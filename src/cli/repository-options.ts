/** What the commands of `osupd key` and `osupd repo` have in common: options, values and how keys are opened. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import type { KeyRing } from '../repository/key-ring.ts';
import type { RoleName } from '../repository/roles.ts';
import type { CliContext } from './context.ts';
import type { Output } from './output.ts';

export interface KeyOptions {
  readonly keys: string;
  readonly passphraseFile?: string;
}

export function keysOption(): Option {
  return new Option('--keys <dir>', 'directory of the key files').makeOptionMandatory();
}

export function passphraseOption(): Option {
  return new Option('--passphrase-file <file>', 'passphrase of encrypted keys (default: OSUPD_PASSPHRASE)');
}

/** For changes whose keys are elsewhere. */
export function signLaterOption(): Option {
  return new Option('--sign-later', 'where keys are missing, prepare all and leave signing to osupd repo sign');
}

/** Says what is still to be done after a command with --sign-later. */
export function waitingText(waiting: readonly RoleName[]): string {
  return waiting.length === 0
    ? ''
    : `\nnot public yet: waiting for signatures of ${waiting.join(', ')} (osupd repo sign)`;
}

/** How hard to compress: 1 (fastest) to 9 (smallest). */
export function effortOption(standard = 7): Option {
  return new Option('--effort <1-9>', 'how hard to compress, 9 being the smallest')
    .default(standard)
    .argParser((text) => {
      if (!/^[1-9]$/.test(text)) throw new InvalidArgumentError('Use a number from 1 to 9.');
      return Number(text);
    });
}

/** For options that may be given several times. */
export function several(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** Opens the key directory; asks for the passphrase only when an encrypted key has to sign. */
export async function openRing(options: KeyOptions, context: CliContext, output: Output): Promise<KeyRing> {
  const { KeyRing } = await import('../repository/key-ring.ts');
  return KeyRing.open(resolve(context.workingDirectory, options.keys), {
    passphrase: () => readPassphrase(options, context),
    progress: output.progress,
  });
}

/** The passphrase that the user gave, if any: a file's first line, or the environment. */
export async function readPassphrase(
  { passphraseFile }: Pick<KeyOptions, 'passphraseFile'>,
  context: CliContext,
): Promise<string | undefined> {
  if (passphraseFile === undefined) return context.environment.OSUPD_PASSPHRASE;
  const text = await readFile(resolve(context.workingDirectory, passphraseFile), 'utf8');
  return text.split(/\r?\n/, 1)[0];
}

/** Parses several `ROLE=VALUE` words. */
export async function parseRoleValues(
  words: readonly string[],
  parse: (value: string) => number,
): Promise<Partial<Record<RoleName, number>>> {
  const { checkRole } = await import('../repository/roles.ts');
  const { OsupdError } = await import('../core/errors.ts');
  const values: Partial<Record<RoleName, number>> = {};
  for (const word of words) {
    const at = word.indexOf('=');
    if (at < 0) throw new OsupdError('usage', `"${word}" is not ROLE=VALUE`, { remedy: 'write it like root=2' });
    values[checkRole(word.slice(0, at))] = parse(word.slice(at + 1));
  }
  return values;
}

/** A threshold: a number of keys. */
export function parseThreshold(text: string): number {
  if (!/^[1-9]\d?$/.test(text)) throw new InvalidArgumentError(`"${text}" is not a number of keys.`);
  return Number(text);
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** A time span such as `90d`, `12h` or `0`, in seconds. */
export function parseDuration(text: string): number {
  const match = /^(\d{1,9})([smhdw])$/.exec(text);
  if (text === '0') return 0;
  if (match === null) throw new InvalidArgumentError(`"${text}" is not a time span; write it like 90d, 12h or 30m.`);
  return Number(match[1]) * (UNITS[match[2] ?? ''] ?? 0);
}
