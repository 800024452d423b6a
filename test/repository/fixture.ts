/** Small real repositories for the tests of this folder: keys, a pool with builds, and a strict independent reader (tuf-js). */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { Updater } from 'tuf-js';
import { type Digest, objectName } from '../../src/core/digest.ts';
import { noProgress } from '../../src/core/progress.ts';
import { encodeImage } from '../../src/image/write.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import { Pool } from '../../src/objects/pool.ts';
import { type AddedDelta, addDelta } from '../../src/repository/add-delta.ts';
import { writeBuildRecord } from '../../src/repository/build-record.ts';
import { type ChannelPolicy, type ChannelSet, setChannel } from '../../src/repository/channels.ts';
import { type InitOptions, initRepository } from '../../src/repository/init.ts';
import type { RandomBytes } from '../../src/repository/key-file.ts';
import { KeyRing } from '../../src/repository/key-ring.ts';
import { parseReleaseReference } from '../../src/repository/layout.ts';
import { type Published, publishReleases } from '../../src/repository/publish.ts';
import type { RoleName } from '../../src/repository/roles.ts';
import { type Problem, verifyRepository } from '../../src/repository/verify.ts';
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
    const node: FileNode = { ...COMMON, type: 'file', xattrs: new Map(), size: bytes.length };
    if (bytes.length > 0) {
      node.digest = await batch.add(chunksOf(bytes), bytes.length);
      node.payload = objectName(node.digest);
      seen.set(node.digest, bytes.length);
    }
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

/** A new directory below `base`, which the test's end removes. */
export function newPlace(base: string): string {
  return mkdtempSync(join(base, 'place-'));
}

/** Everything a test does to a repository, at {@link NOW} and with the least effort unless it says otherwise. */
export class TestRepository {
  readonly directory: string;
  readonly keys: string;
  readonly pool: string;

  constructor(base: string, pool = join(base, 'pool')) {
    this.directory = join(base, 'repository');
    this.keys = join(base, 'keys');
    this.pool = pool;
  }

  /** A copy with the same keys and pool. */
  copyTo(base: string): TestRepository {
    const copy = new TestRepository(base, this.pool);
    for (const name of ['directory', 'keys'] as const) cpSync(this[name], copy[name], { recursive: true });
    return copy;
  }

  ring(): Promise<KeyRing> {
    return KeyRing.open(this.keys);
  }

  /** Takes a role's keys away, as when they are offline. */
  removeKeys(role: RoleName): void {
    for (const name of readdirSync(this.keys)) if (name.startsWith(`${role}-`)) rmSync(join(this.keys, name));
  }

  async common(now = NOW) {
    return { directory: this.directory, ring: await this.ring(), now };
  }

  async publish(
    releases: string | readonly string[],
    { now, full = false, ...rest }: { now?: Date; effort?: number; full?: boolean; signLater?: boolean } = {},
  ): Promise<Published> {
    return publishReleases({
      ...(await this.common(now)),
      pool: this.pool,
      releases: [releases].flat().map(parseReleaseReference),
      effort: 1,
      full,
      progress: noProgress,
      ...rest,
    });
  }

  async delta(from: readonly string[], to: readonly string[]): Promise<AddedDelta> {
    return addDelta({
      ...(await this.common()),
      from: from.map(parseReleaseReference),
      to: to.map(parseReleaseReference),
      effort: 1,
      progress: noProgress,
    });
  }

  async offer(release: string, policy: ChannelPolicy = {}, channel = 'stable'): Promise<ChannelSet> {
    return setChannel({ ...(await this.common()), channel, releases: [parseReleaseReference(release)], policy });
  }

  /** What `repo verify` finds. */
  async problems(now = NOW): Promise<readonly Problem[]> {
    const options = { directory: this.directory, scratch: dirname(this.directory), quick: false, progress: noProgress };
    return (await verifyRepository({ ...options, now })).problems;
  }

  /** File names in a folder of the repository, sorted. */
  files(folder: string): string[] {
    return readdirSync(join(this.directory, folder)).sort();
  }
}

/** A repository in `base`, with keys that depend on `seed` alone. */
export async function makeRepository(
  base: string,
  options: Partial<Pick<InitOptions, 'thresholds' | 'lifetimes' | 'now'>> & { seed?: string; pool?: string } = {},
): Promise<TestRepository> {
  const { seed = 'seed', pool, ...rest } = options;
  const repository = new TestRepository(base, pool);
  await initRepository({ ...(await repository.common()), random: seededRandom(seed), ...rest });
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
 * An independent client of a repository: metadata through tuf-js, starting from the first root. `url` ends with `/`.
 * `state` names the client; one that was opened before goes on from there.
 */
export function openReader(url: string, repository: TestRepository, state: string): Updater {
  const metadataDir = join(dirname(repository.directory), state);
  const targetDir = join(metadataDir, 'targets');
  mkdirSync(targetDir, { recursive: true });
  const root = join(metadataDir, 'root.json');
  if (!existsSync(root)) copyFileSync(join(repository.directory, 'metadata/1.root.json'), root);
  return new Updater({
    metadataDir,
    metadataBaseUrl: `${url}metadata`,
    targetDir,
    targetBaseUrl: `${url}targets`,
    config: { fetchRetries: 0 },
  });
}

/** Downloads one target through a reader. */
export async function download(reader: Updater, target: string): Promise<Buffer> {
  const info = await reader.getTargetInfo(target);
  if (info === undefined) throw new Error(`there is no target ${target}`);
  return readFileSync(await reader.downloadTarget(info));
}
