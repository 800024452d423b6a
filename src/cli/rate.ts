/** Speeds as people write them. */
import { InvalidArgumentError } from 'commander';

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1000, M: 1e6, G: 1e9 };

/** Bytes a second from `500000`, `500k`, `2M`, `1.5M`. */
export function parseRate(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([kMG]?)$/.exec(text) ?? [];
  const rate = Number(number) * (UNITS[unit] ?? Number.NaN);
  if (!(rate >= 1)) throw new InvalidArgumentError('Give bytes a second, for example 500k or 2M.');
  return rate;
}
