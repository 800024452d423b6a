/** What the options of `osupd build` mean: times, owners, numbers, annotations. */
import { OsupdError } from '../core/errors.ts';
import { MAX_INLINE_BYTES } from '../core/limits.ts';
import { findBootFiles } from '../deploy/boot/boot-files.ts';
import type { BootFiles } from '../repository/release.ts';
import type { IdRange, OwnerMap } from '../tree/content.ts';
import type { Time, Tree } from '../tree/tree.ts';

const MAX_ID = 2 ** 32 - 1;
/** Characters of an annotation's key, as release manifests have it. */
const MAX_KEY = 256;

/**
 * The time that no mtime may be later than: the option's, or that of `SOURCE_DATE_EPOCH`
 * (https://reproducible-builds.org/specs/source-date-epoch/), or none.
 * @param option seconds since the epoch or an ISO 8601 time; `true` where the option was given without a value.
 */
export function parseClampMtime(
  option: string | true | undefined,
  sourceDateEpoch: string | undefined,
): Time | undefined {
  if (typeof option === 'string') return parseTime(option);
  if (sourceDateEpoch !== undefined && sourceDateEpoch !== '') return parseEpoch(sourceDateEpoch);
  if (option === undefined) return undefined;
  throw new OsupdError('usage', '--clamp-mtime has no time', {
    remedy: 'give one, or set the environment variable SOURCE_DATE_EPOCH',
  });
}

function parseTime(text: string): Time {
  if (/^-?\d+$/.test(text)) return { seconds: BigInt(text), nanoseconds: 0 };
  const milliseconds = Date.parse(text);
  if (Number.isNaN(milliseconds)) {
    throw new OsupdError('usage', `"${text}" is not a time`, {
      remedy: 'write seconds since 1970, or a time such as 2030-01-31T00:00:00Z',
    });
  }
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds: BigInt(seconds), nanoseconds: (milliseconds - seconds * 1000) * 1_000_000 };
}

/** @throws OsupdError `usage` */
export function parseEpoch(sourceDateEpoch: string): Time {
  if (/^\d{1,15}$/.test(sourceDateEpoch)) return { seconds: BigInt(sourceDateEpoch), nanoseconds: 0 };
  throw new OsupdError('usage', `"${sourceDateEpoch}" is not a number of seconds`, { where: 'SOURCE_DATE_EPOCH' });
}

/**
 * Owner maps as they are written: `UID:GID` for all files, or ranges `[u:|g:|b:]FROM:TO:COUNT` (users, groups, both).
 */
export function parseOwnerMap(texts: readonly string[]): OwnerMap | undefined {
  if (texts.length === 0) return undefined;
  const uids: IdRange[] = [];
  const gids: IdRange[] = [];
  for (const text of texts) {
    const [, kind = 'b', numbers = ''] = /^(?:([ugb]):)?([\d:]+)$/.exec(text) ?? [];
    const values = numbers.split(':').map(Number);
    if (values.some((value, at) => numbers.split(':')[at] === '' || value > MAX_ID)) throw badOwnerMap(text);
    const [from = 0, to = 0, count] = values;
    if (values.length === 2 && text === numbers && texts.length === 1) return { uids: from, gids: to };
    if (values.length !== 3 || count === undefined || count === 0 || Math.max(from, to) + count - 1 > MAX_ID)
      throw badOwnerMap(text);
    if (kind !== 'g') uids.push({ from, to, count });
    if (kind !== 'u') gids.push({ from, to, count });
  }
  return { uids, gids };
}

function badOwnerMap(text: string): OsupdError {
  return new OsupdError('usage', `"${text}" is not an owner map`, {
    remedy: 'write UID:GID (once) for all files, or [u:|g:]FROM:TO:COUNT for ranges, for example 100000:0:65536',
  });
}

export function parseVersionNumber(option: string, text: string | undefined): 0 | 1 | undefined {
  if (text === undefined) return undefined;
  if (text === '0' || text === '1') return text === '0' ? 0 : 1;
  throw new OsupdError('usage', `the image format has the versions 0 and 1, not "${text}"`, { where: option });
}

export function parseInlineLimit(text: string): number {
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (limit <= MAX_INLINE_BYTES) return limit;
  throw new OsupdError('usage', `the limit is a number of bytes up to ${MAX_INLINE_BYTES}, not "${text}"`, {
    where: '--inline-limit',
  });
}

/** `KEY=VALUE` words as an object; a later value of a key wins. */
export function parseAnnotations(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf('=');
      if (at > 0 && at <= MAX_KEY) return [word.slice(0, at), word.slice(at + 1)];
      throw new OsupdError('usage', `"${word.slice(0, 80)}" is not an annotation`, { remedy: 'write it as KEY=VALUE' });
    }),
  );
}

interface BootOptions {
  readonly kernel?: string | undefined;
  readonly initrd?: string | undefined;
  readonly kernelArguments?: string | undefined;
}

/** @throws OsupdError `usage` for options that need --kernel, and arguments that are not printable words. */
export function checkBootOptions({ kernel, initrd, kernelArguments = '' }: BootOptions): void {
  if (kernel === undefined && (initrd !== undefined || kernelArguments !== '')) {
    throw new OsupdError('usage', 'what is booted is named by the kernel', { remedy: 'give --kernel, too' });
  }
  const words = kernelArguments.split(/\s+/).filter(Boolean);
  const bad = words.find((word) => !/^[!-~]+$/.test(word) || /^osupd\./.test(word));
  if (bad === undefined) return;
  throw new OsupdError('usage', `"${bad}" cannot be an argument of a release`, {
    where: '--kernel-arguments',
    remedy: 'use printable characters; arguments that begin with "osupd." are the device\'s own',
  });
}

/**
 * What the options say of the boot, for the build record.
 * @throws OsupdError `not-found` for a path where the tree has no file.
 */
export function bootFiles(tree: Tree, { kernel, initrd, kernelArguments }: BootOptions): BootFiles | undefined {
  if (kernel === undefined) return undefined;
  const boot: BootFiles = {
    kernel,
    ...(initrd === undefined ? {} : { initrd }),
    ...(kernelArguments === undefined ? {} : { arguments: kernelArguments }),
  };
  findBootFiles(tree, boot);
  return boot;
}
