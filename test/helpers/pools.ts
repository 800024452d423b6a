/** What pools in tests hold, and what is wrong with them. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../../src/core/digest.ts';
import { decodeImage } from '../../src/image/read.ts';
import { checkPool } from '../../src/objects/check.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import type { Pool } from '../../src/objects/pool.ts';
import type { Problem } from '../../src/objects/problem.ts';
import { objectsOf } from '../../src/tree/references.ts';

/** Everything that a check of the pool finds. */
export function problemsOf(pool: Pool, needed: Iterable<Digest> = []): Promise<Problem[]> {
  return Array.fromAsync(
    checkPool(pool, { needed, readReferences: (image, where) => objectsOf(decodeImage(image, where)) }),
  );
}

/**
 * I1 and I2, read with nothing but synchronous calls: names whose content is another, and objects that images name but that
 * are not there.
 */
export function brokenInvariants(directory: string): string[] {
  const broken: string[] = [];
  const present = new Set<string>();
  for (const prefix of list(join(directory, 'objects'))) {
    for (const rest of readdirSync(join(directory, 'objects', prefix))) {
      const digest = fsverityDigest(readFileSync(join(directory, 'objects', prefix, rest)));
      if (digest === prefix + rest) present.add(digest);
      else broken.push(`objects/${prefix}/${rest} is ${digest}`);
    }
  }
  for (const name of list(join(directory, 'images'))) {
    const image = readFileSync(join(directory, 'images', name));
    if (fsverityDigest(image) !== name) broken.push(`images/${name} has other content`);
    else
      for (const { digest } of objectsOf(decodeImage(image)))
        if (!present.has(digest)) broken.push(`images/${name} lacks ${digest}`);
  }
  return broken;
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Content that differs from seed to seed and does not compress. */
export function noise(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = (seed + 1) * 2654435761;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** Writes files of the given sizes, each of its own content: `0`, `1`, … */
export function writeNoise(directory: string, sizes: readonly number[]): void {
  for (const [at, size] of sizes.entries()) writeFileSync(join(directory, `file-${at}`), noise(size, at));
}

export async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
