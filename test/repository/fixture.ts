/** Small real repositories for the tests of this folder: keys, a pool with builds, and a strict independent reader (tuf-js). */
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Updater } from 'tuf-js';
import type { Digest } from '../../src/core/digest.ts';
import { objectName } from '../../src/core/digest.ts';
import { noProgress } from '../../src/core/progress.ts';
import { encodeImage } from '../../src/image/write.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import { Pool } from '../../src/objects/pool.ts';
import { writeBuildRecord } from '../../src/repository/build-record.ts';
import { type InitOptions, initRepository } from '../../src/repository/init.ts';
import type { RandomBytes } from '../../src/repository/key-file.ts';
import { KeyRing } from '../../src/repository/key-ring.ts';
import { parseReleaseReference } from '../../src/repository/layout.ts';
import { type Published, publishReleases } from '../../src/repository/publish.ts';
import { type DirectoryNode, EPOCH, type FileNode } from '../../src/tree/tree.ts';

export const NOW = new Date('2030-01-01T00:00:00Z');
export const DAY = 86_400;

export function daysLater(days: number): Date {
  return new Date(NOW.getTime() + days * DAY * 1000);
}

/** Bytes that look random and are the same every time for the same seed. */
export function seededRandom(seed: string): RandomBytes {
  let counter = 0;
  return (size) => {
    const parts: Buffer[] = [];
    for (let length = 0; length < size; length += 32) {
      parts.push(createHash('sha256').update(`${seed} ${counter++}`).digest());
    }
    return Buffer.concat(parts).subarray(0, size);
  };
}

const COMMON = { mode: 0o644, uid: 0, gid: 0, nlink: 1, mtime: EPOCH };

/** Builds a release into a pool: one file for each name, directly below the root. Returns the image's digest. */
export async function build(
  poolDirectory: string,
  release: string,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<Digest> {
  const pool = await Pool.create(poolDirectory);
  const batch = await ObjectBatch.open(pool);
  const root: DirectoryNode = { ...COMMON, mode: 0o755, type: 'directory', xattrs: new Map(), children: new Map() };
  const seen = new Map<Digest, number>();
  for (const [name, content] of Object.entries(files)) {
    const bytes = Buffer.from(content);
    const digest = await batch.add(chunksOf(bytes), bytes.length);
    seen.set(digest, bytes.length);
    const node: FileNode = {
      ...COMMON,
      type: 'file',
      xattrs: new Map(),
      size: bytes.length,
      digest,
      payload: objectName(digest),
    };
    root.children.set(name, node);
  }
  await batch.close();
  const image = encodeImage({ root });
  const digest = fsverityDigest(image);
  await pool.addImage(image, digest);
  await writeBuildRecord(poolDirectory, {
    schema: 'osupd-build/1',
    ...parseReleaseReference(release),
    architecture: 'x86_64',
    image: { digest, size: image.length },
    objects: { count: seen.size, bytes: [...seen.values()].reduce((sum, size) => sum + size, 0) },
    createdAt: '2029-12-31T00:00:00Z',
  });
  return digest;
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Text that compresses, of so many bytes. */
export function text(seed: string, bytes: number): string {
  let out = '';
  for (let line = 0; out.length < bytes; line++) out += `${seed} line ${line * 7919}\n`;
  return out.slice(0, bytes);
}

export interface TestRepository {
  readonly directory: string;
  readonly keys: string;
  readonly pool: string;
  ring(): Promise<KeyRing>;
  publish(release: string, options?: { now?: Date; effort?: number; full?: boolean }): Promise<Published>;
}

/** A repository in `base`, with keys that depend on `seed` alone. */
export async function makeRepository(
  base: string,
  options: Partial<Pick<InitOptions, 'thresholds' | 'lifetimes' | 'now'>> & { seed?: string } = {},
): Promise<TestRepository> {
  const repository: TestRepository = {
    directory: join(base, 'repository'),
    keys: join(base, 'keys'),
    pool: join(base, 'pool'),
    ring: () => KeyRing.open(repository.keys),
    publish: async (release, { now = NOW, effort = 1, full = false } = {}) =>
      publishReleases({
        directory: repository.directory,
        ring: await repository.ring(),
        pool: repository.pool,
        releases: [parseReleaseReference(release)],
        now,
        effort,
        full,
        progress: noProgress,
      }),
  };
  const { seed = 'seed', ...rest } = options;
  await initRepository({
    directory: repository.directory,
    ring: await repository.ring(),
    now: NOW,
    random: seededRandom(seed),
    ...rest,
  });
  return repository;
}

/** Every file below a directory with the SHA-256 of its content, sorted; without the lock and other names with a dot. */
export function contentsOf(directory: string, prefix = ''): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of readdirSync(join(directory, prefix)).sort()) {
    if (name.startsWith('.')) continue;
    const path = prefix === '' ? name : `${prefix}/${name}`;
    const full = join(directory, path);
    if (statSync(full).isDirectory()) for (const [key, value] of contentsOf(directory, path)) found.set(key, value);
    else found.set(path, createHash('sha256').update(readFileSync(full)).digest('hex'));
  }
  return found;
}

/**
 * An independent client of one repository: metadata through tuf-js, starting from the first root. `url` ends with `/`.
 * `state` is the client's directory; one that has been used before goes on from there.
 */
export function openReader(url: string, firstRoot: string, state: string): Updater {
  mkdirSync(join(state, 'targets'), { recursive: true });
  if (!readdirSync(state).includes('root.json')) copyFileSync(firstRoot, join(state, 'root.json'));
  return new Updater({
    metadataDir: state,
    metadataBaseUrl: `${url}metadata`,
    targetDir: join(state, 'targets'),
    targetBaseUrl: `${url}targets`,
    config: { fetchRetries: 0 },
  });
}

/** Downloads one target through a reader. */
export async function download(reader: Updater, target: string): Promise<Buffer | undefined> {
  const info = await reader.getTargetInfo(target);
  return info === undefined ? undefined : readFileSync(await reader.downloadTarget(info));
}
