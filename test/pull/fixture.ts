/** A repository behind a web server, and devices that pull from it. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../../src/core/digest.ts';
import { noProgress, type Progress } from '../../src/core/progress.ts';
import { decodeImage } from '../../src/image/read.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { Pool } from '../../src/objects/pool.ts';
import { type PullPlan, type PullSummary, planPull, pull } from '../../src/pull/pull.ts';
import { openTrust } from '../../src/pull/trust.ts';
import { addDelta } from '../../src/repository/add-delta.ts';
import { setChannel } from '../../src/repository/channels.ts';
import { parseReleaseReference } from '../../src/repository/layout.ts';
import { CountingSource } from '../../src/transport/counting.ts';
import { openSource } from '../../src/transport/open.ts';
import { objectsOf } from '../../src/tree/references.ts';
import { startWebServer, type WebServer } from '../helpers/web-server.ts';
import { build, makeRepository, NOW, type TestRepository } from '../repository/fixture.ts';

export type Files = Readonly<Record<string, string | Uint8Array>>;

/** Files of which most stay from version to version: `changed` of the `count` are other ones in each version. */
export function versionOf(version: number, count: number, changed: number, bytes = 20_000): Record<string, Buffer> {
  const files: Record<string, Buffer> = {};
  for (let number = 0; number < count; number++) {
    const last = number < changed ? version : 0;
    files[`file-${number}`] = content(`${number}`, last, bytes + number);
  }
  return files;
}

/** Bytes that do not compress well, of which a version changes a little in the middle. */
export function content(seed: string, version: number, bytes: number): Buffer {
  const out = Buffer.alloc(bytes);
  let state = [...`${seed}`].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) & 0x7fffffff;
  for (let at = 0; at < bytes; at++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    out[at] = (state >> 16) & 0x3f;
  }
  out.write(`version ${version} of ${seed}`, Math.floor(bytes / 2));
  return out;
}

export class TestSite {
  readonly base: string;
  readonly repository: TestRepository;
  readonly server: WebServer;
  readonly images = new Map<string, Digest>();

  private constructor(base: string, repository: TestRepository, server: WebServer) {
    this.base = base;
    this.repository = repository;
    this.server = server;
  }

  static async create(parent: string): Promise<TestSite> {
    const base = mkdtempSync(join(parent, 'site-'));
    const repository = await makeRepository(base);
    return new TestSite(base, repository, await startWebServer(repository.directory));
  }

  async release(reference: string, files: Files, options: { full?: boolean } = {}): Promise<void> {
    this.images.set(reference, await build(this.repository.pool, reference, files));
    await this.repository.publish(reference, options);
  }

  /** A delta between published releases; none before makes a full one. Returns the path of its file. */
  async delta(from: readonly string[], to: readonly string[]): Promise<string> {
    const { delta } = await addDelta({
      directory: this.repository.directory,
      ring: await this.repository.ring(),
      now: NOW,
      from: from.map(parseReleaseReference),
      to: to.map(parseReleaseReference),
      effort: 1,
      progress: noProgress,
    });
    return delta.file;
  }

  async channel(...references: string[]): Promise<void> {
    await setChannel({
      directory: this.repository.directory,
      ring: await this.repository.ring(),
      channel: 'stable',
      releases: references.map(parseReleaseReference),
      policy: {},
      now: NOW,
    });
  }

  /** Paths of content (no metadata) that were asked for since the log was last emptied. */
  contentRequests(): string[] {
    return this.server.log.map(({ path }) => path).filter((path) => !/^(metadata|targets)\//.test(path));
  }

  async device(): Promise<PullingDevice> {
    const directory = mkdtempSync(join(this.base, 'device-'));
    const pool = await Pool.create(directory);
    mkdirSync(join(directory, 'trust'));
    cpSync(join(this.repository.directory, 'metadata/1.root.json'), join(directory, 'trust/root.json'));
    return new PullingDevice(directory, pool, this.server.url);
  }
}

export class PullingDevice {
  readonly directory: string;
  readonly pool: Pool;
  readonly notes: string[] = [];
  url: string;

  constructor(directory: string, pool: Pool, url: string) {
    this.directory = directory;
    this.pool = pool;
    this.url = url;
  }

  pull(...references: string[]): Promise<PullSummary> {
    return this.#with(references, pull);
  }

  plan(...references: string[]): Promise<PullPlan> {
    return this.#with(references, planPull);
  }

  async #with<T>(references: string[], act: (job: Parameters<typeof pull>[0]) => Promise<T>): Promise<T> {
    const source = new CountingSource(
      await openSource(this.url, { userAgent: 'osupd/test', random: () => 0, firstPause: 1, idleTimeout: 2000 }),
    );
    const trust = await openTrust({ directory: join(this.directory, 'trust'), source });
    try {
      const releases = [];
      for (const reference of references) releases.push(await trust.release(parseReleaseReference(reference)));
      const progress: Progress = (event) => {
        if (event.kind === 'note') this.notes.push(event.text);
        noProgress(event);
      };
      return await act({ pool: this.pool, trust, source, releases, progress });
    } finally {
      trust.close();
      await source.close();
    }
  }
}

/** Everything that is wrong with a pool: I1 and I2, looked at with nothing but the files. */
export async function poolProblems(pool: Pool): Promise<string[]> {
  const problems: string[] = [];
  for await (const { digest } of pool.listObjects()) {
    if (fsverityDigest(readFileSync(pool.objectPath(digest))) !== digest) problems.push(`object ${digest} is damaged`);
  }
  for (const image of await pool.listImages()) {
    const bytes = readFileSync(pool.imagePath(image));
    if (fsverityDigest(bytes) !== image) problems.push(`image ${image} is damaged`);
    else {
      for (const { digest, size } of objectsOf(decodeImage(bytes))) {
        if (!pool.hasObject(digest, size)) problems.push(`image ${image} lacks object ${digest}`);
      }
    }
  }
  return problems;
}

/** Names in the staging directory, which a pull that ended leaves empty. */
export function leftovers(pool: Pool): string[] {
  return readdirSync(pool.stagingDirectory).filter((name) => name !== 'lock');
}

/** Bytes of the head of a delta file, as docs/formats/delta.md has it. */
export function headSizeIn(delta: Buffer): number {
  return 64 + delta.readUInt32LE(16) + Number(delta.readBigUInt64LE(24));
}
