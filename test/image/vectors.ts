/** The vectors of test/golden/composefs. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { EncodeOptions } from '../../src/image/write.ts';

const DIRECTORY = resolve(import.meta.dirname, '../golden/composefs');

export interface ImageVector {
  readonly version: 0 | 1;
  readonly inodes: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly fsverity: string;
  readonly dumpSha256: string;
}

const RANGES = {
  v0: { minVersion: 0, maxVersion: 0 },
  'v0-1': { minVersion: 0, maxVersion: 1 },
  v1: { minVersion: 1, maxVersion: 1 },
} as const satisfies Record<string, EncodeOptions>;

type Range = keyof typeof RANGES;

const VECTORS = JSON.parse(readFileSync(resolve(DIRECTORY, 'vectors.json'), 'utf8')) as Record<
  string,
  { readonly mustFail?: string } & { readonly [range in Range]?: ImageVector }
>;

/** Names of the dumps that are images. */
export const GOOD_NAMES = Object.keys(VECTORS).filter((name) => VECTORS[name]?.mustFail === undefined);

/** Dumps that are refused, with the rule that each breaks. */
export const BAD_DUMPS = Object.entries(VECTORS).flatMap(([name, { mustFail }]) =>
  mustFail === undefined ? [] : [{ name, rule: mustFail }],
);

/** The text of a dump. */
export function vectorDump(name: string): Buffer {
  return gunzipSync(readFileSync(resolve(DIRECTORY, `${name}.dump.gz`)));
}

/** The images of a dump, with the options that make each. */
export function vectorImages(name: string): { range: Range; options: EncodeOptions; vector: ImageVector }[] {
  return (Object.keys(RANGES) as Range[]).flatMap((range) => {
    const vector = VECTORS[name]?.[range];
    return vector === undefined ? [] : [{ range, options: RANGES[range], vector }];
  });
}
