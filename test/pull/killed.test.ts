import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Digest, isDigest } from '../../src/core/digest.ts';
import { isSystemError } from '../../src/core/errors.ts';
import { readHead } from '../../src/delta/head.ts';
import { namedBy, planRecords } from '../../src/delta/plan.ts';
import { Pool } from '../../src/objects/pool.ts';
import { objectPath } from '../../src/repository/layout.ts';
import { runCommand } from '../helpers/run-command.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { content, headSizeIn, poolProblems, TestSite, versionOf } from './fixture.ts';

const PROGRAM = resolve(import.meta.dirname, '../helpers/osupd-from-source.ts');
const ROUNDS = 4 * Number(process.env.OSUPD_TEST_SCALE ?? 1);
/** Slow enough that a kill finds the download at any of its places. */
const SLOWLY = ['--limit-rate', '3M'];

const base = temporaryDirectory();

/** A repository with two releases, and a root that has the first; each round begins with a copy of it. */
class Scene {
  readonly site: TestSite;
  readonly template: string;
  /** The delta between the releases, where there is one. */
  readonly delta: string | undefined;

  private constructor(site: TestSite, template: string, delta: string | undefined) {
    this.site = site;
    this.template = template;
    this.delta = delta;
  }

  static async create(withDelta: boolean): Promise<Scene> {
    const site = await TestSite.create(base);
    for (const version of [1, 2]) {
      const files: Record<string, Buffer> = { large: content(`large ${version}`, 0, 1_500_000) };
      for (let at = 0; at < 30; at++) files[`new-${at}.${at % 4}`] = content(`new ${at} of ${version}`, 0, 30_000);
      await site.release(`os@${version}`, { ...versionOf(version, 40, 20), ...files });
    }
    const delta = withDelta ? await site.delta(['os@1'], ['os@2']) : undefined;
    await site.channel('os@1');
    const template = mkdtempSync(join(site.base, 'template-'));
    const trust = join(site.repository.directory, 'metadata/1.root.json');
    const init = ['init', '--root', template, '--url', site.server.url, '--trust', trust];
    expect(await runCommand(init)).toMatchObject({ status: 0 });
    expect(await runCommand(['pull', '--root', template])).toMatchObject({ status: 0 });
    await site.channel('os@2');
    return new Scene(site, template, delta);
  }

  /** A new root that has the first release. */
  newRoot(): string {
    const root = mkdtempSync(join(this.site.base, 'root-'));
    cpSync(this.template, root, { recursive: true });
    return root;
  }

  /** The ranges of the delta's payload that are still needed. */
  rangesWithout(finished: ReadonlySet<Digest>): string[] {
    const { directory } = this.site.repository;
    const bytes = readFileSync(join(directory, this.delta!));
    const head = readHead(bytes.subarray(0, headSizeIn(bytes)));
    const images = ['os@1', 'os@2'].map((release) => {
      const digest = this.site.images.get(release)!;
      return [digest, readFileSync(join(this.site.repository.pool, 'images', digest))] as const;
    });
    const plan = planRecords(head, namedBy(new Map(images)), (digest) => finished.has(digest));
    return plan.ranges.map(({ offset, length }) => `bytes=${offset}-${offset + length - 1}`);
  }
}

function startPull(root: string, ...options: string[]): { child: ChildProcess; ended: Promise<number | null> } {
  const child = spawn(process.execPath, [PROGRAM, 'pull', '--root', root, '-q', ...options], { stdio: 'ignore' });
  return { child, ended: new Promise((done) => child.once('exit', (status) => done(status))) };
}

/** Every object and image of a pool. */
async function contents(directory: string): Promise<string[]> {
  const pool = await Pool.open(directory);
  const objects: string[] = [];
  for await (const { digest, size } of pool.listObjects()) objects.push(`${digest} ${size}`);
  return [...objects, ...(await pool.listImages())];
}

/** Objects that a device has finished: in its pool, or staged under their names. */
function finishedObjects(root: string): Set<Digest> {
  const found = new Set<Digest>();
  const walk = (directory: string, text: string) => {
    for (const entry of entriesOf(directory)) {
      if (entry.isDirectory()) walk(join(directory, entry.name), text + entry.name);
      const digest = (text + entry.name).slice(-64);
      if (isDigest(digest)) found.add(digest);
    }
  };
  walk(join(root, 'objects'), '');
  walk(join(root, 'staging'), '');
  return found;
}

/** Also while a pull works on them, and a directory goes between its name and a look into it. */
function entriesOf(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  }
}

describe.each([
  ['that fetches single objects', false],
  ['that applies a delta', true],
])('a pull %s', (_, withDelta) => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.create(withDelta);
  });
  afterAll(() => scene.site.server.close());

  /** Runs a pull to its end, and checks that it fetches nothing that was finished. */
  async function finish(root: string, what: string): Promise<void> {
    const finished = finishedObjects(root);
    const { log } = scene.site.server;
    log.length = 0;
    const complete = (await contents(root)).includes(scene.site.images.get('os@2')!);
    // The kill may have come between the last image and the end, or after it.
    expect([0, ...(complete ? [3] : [])], what).toContain(await startPull(root).ended);
    const objects = scene.site.contentRequests().filter((path) => path.startsWith('objects/'));
    const again = objects.filter((path) => [...finished].some((digest) => objectPath(digest) === path));
    expect(again, `fetched again ${what}`).toEqual([]);
    if (scene.delta === undefined) return;
    expect(objects, what).toEqual([]);
    const ranges = log.filter(({ path, range }) => path === scene.delta && !range?.startsWith('bytes=0-'));
    const needed = complete ? [] : scene.rangesWithout(finished);
    expect(
      ranges.map(({ range }) => range),
      `ranges fetched ${what}`,
    ).toEqual(needed);
  }

  it(
    'and is killed at any instant goes on from what it had finished, and ends in the same pool',
    async () => {
      const whole = scene.newRoot();
      const began = performance.now();
      expect(await startPull(whole, ...SLOWLY).ended).toBe(0);
      const duration = performance.now() - began;
      const expected = await contents(whole);

      for (let round = 0; round < ROUNDS; round++) {
        const root = scene.newRoot();
        const instants: number[] = [];
        // One kill, or several in a row.
        for (let kill = 0; kill <= round % 3; kill++) {
          const { child, ended } = startPull(root, ...SLOWLY);
          const instant = Math.random() * duration * 1.05;
          instants.push(Math.round(instant));
          await Promise.race([pause(instant), ended]);
          child.kill('SIGKILL');
          await ended;
          expect(await poolProblems(await Pool.open(root)), `after kills at ${instants} ms`).toEqual([]);
        }
        const what = `after kills at ${instants} of ${Math.round(duration)} ms`;
        await finish(root, what);
        expect(await contents(root), what).toEqual(expected);
        expect(readdirSync(join(root, 'staging')).filter((name) => name !== 'lock')).toEqual([]);
        expect(readdirSync(join(root, 'trust')).filter((name) => name.startsWith('.'))).toEqual([]);
      }
    },
    60_000 + ROUNDS * 6000,
  );

  it('and is ended by SIGINT says so, keeps what it has, and goes on', async () => {
    const root = scene.newRoot();
    const before = finishedObjects(root).size;
    const { child, ended } = startPull(root, '--limit-rate', '500k');
    if (scene.delta === undefined) {
      while (finishedObjects(root).size < before + 8) await pause(5);
    } else {
      // Its records are so large that the first is complete when nearly all has been read.
      while (!readdirSync(join(root, 'staging')).some((name) => name.startsWith('batch-'))) await pause(5);
      await pause(300);
    }
    child.kill('SIGINT');
    expect(await ended).toBe(1);
    expect(await poolProblems(await Pool.open(root))).toEqual([]);
    expect(readdirSync(join(root, 'staging')).filter((name) => name.startsWith('batch-'))).toEqual([]);
    await finish(root, 'after SIGINT');
  });
});
