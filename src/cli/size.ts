/** Sizes of disks as people write them. */
import { InvalidArgumentError } from 'commander';

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** Bytes from `4G`, `512M`, `1.5G`: powers of 1024, as in sfdisk(8) and truncate(1). */
export function parseSize(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([KMGT]?)$/.exec(text) ?? [];
  const size = Math.floor(Number(number) * (UNITS[unit] ?? Number.NaN));
  if (!(size >= 1 && size <= Number.MAX_SAFE_INTEGER))
    throw new InvalidArgumentError('Give bytes, for example 512M or 4G.');
  return size;
}
