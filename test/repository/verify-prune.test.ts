import { existsSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseReleaseReference } from '../../src/repository/layout.ts';
import { type PruneOptions, pruneRepository } from '../../src/repository/prune.ts';
import { acquireLock } from '../../src/sys/lock.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import {
  build,
  contentsOf,
  DAY,
  daysLater,
  makeRepository,
  newPlace,
  seededRandom,
  type TestRepository,
  text,
} from './fixture.ts';

const base = temporaryDirectory();
const pool = join(base, 'pool');
const SHARED = text('shared', 30_000);

beforeAll(async () => {
  for (const version of ['1', '2', '3']) {
    await build(pool, `os@${version}`, {
      same: SHARED,
      own: text(`own ${version}`, 4000),
      large: seededRandom(`l`)(100_000),
    });
  }
  await build(pool, 'app@1', { same: SHARED, app: text('app', 4000) });
});

let template: TestRepository;

beforeAll(async () => {
  template = await makeRepository(newPlace(base), { pool });
  await template.publish(['os@1', 'os@2', 'os@3', 'app@1'], { full: true });
  expect(await template.delta(['os@1'], ['os@2'])).toMatchObject({ kept: true, changed: true });
  await template.offer('os@2');
});

/** Three versions and an app, with full deltas and one from 1 to 2; `stable` offers os@2. */
function filled(): TestRepository {
  return template.copyTo(newPlace(base));
}

describe('verifying', () => {
  let repository: TestRepository;
  beforeAll(() => {
    repository = filled();
  });

  it('finds nothing in a good repository', async () => {
    expect(await repository.problems()).toEqual([]);
  });

  it.each([
    ['metadata/timestamp.json', /signed|JSON|missing/],
    ['metadata/1.targets.json', /content|missing/],
    ['targets/releases/os', /content|missing/],
    ['targets/channels', /content|missing/],
    ['targets/deltas', /content|missing/],
    ['images', /content|missing/],
    ['sizes', /content|missing/],
    ['objects', /missing|content|frame|size|bytes|end of file|corrupt|[Dd]ata/],
    ['deltas', /ENOENT|bytes|head/],
  ])('finds what is wrong in %s: missing, cut, changed', async (folder, what) => {
    const full = join(repository.directory, folder);
    const file = folder.endsWith('.json')
      ? full
      : join(
          full,
          readdirSync(full, { recursive: true, encoding: 'utf8' })
            .filter((name) => name.includes('.'))
            .sort()[0] ?? '',
        );
    const good = readFileSync(file);
    const changed = Buffer.from(good);
    changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 0x55;
    const damages = [
      () => rmSync(file),
      () => truncateSync(file, good.length >> 1),
      // A delta's payload is vouched for by the images it leads to, not by its index.
      ...(folder === 'deltas' ? [] : [() => writeFileSync(file, changed)]),
    ];
    for (const damage of damages) {
      damage();
      const problems = await repository.problems();
      writeFileSync(file, good);
      expect(problems.length).toBeGreaterThan(0);
      for (const problem of problems) expect(problem.what).toMatch(what);
    }
    expect(await repository.problems()).toEqual([]);
  });

  it('finds an object under the name of another one', async () => {
    const objects = [...contentsOf(repository.directory).keys()].filter((path) => path.startsWith('objects/'));
    const [a, b] = objects.slice(0, 2).map((path) => join(repository.directory, path)) as [string, string];
    const swap = () => {
      renameSync(a, `${a}.x`);
      renameSync(b, a);
      renameSync(`${a}.x`, b);
    };
    swap();
    expect((await repository.problems()).length).toBeGreaterThanOrEqual(2);
    swap();
  });

  it('finds what has expired', async () => {
    const late = (await repository.problems(daysLater(366))).map(({ where }) => where);
    expect(late).toEqual(['root', 'targets', 'snapshot', 'timestamp', 'releases', 'channels', 'deltas']);
  });
});

describe('pruning', () => {
  async function prune(repository: TestRepository, options: Partial<PruneOptions> = {}) {
    const defaults = { remove: [], grace: 7 * DAY, dryRun: false };
    return pruneRepository({ ...(await repository.common()), ...defaults, ...options });
  }

  it('removes nothing that is referred to, whatever is removed', async () => {
    const repository = filled();
    const before = contentsOf(repository.directory);
    // What is not referred to from the start: the metadata of earlier views.
    expect(await prune(repository, { grace: 0 })).toMatchObject({ releases: [] });
    for (const path of before.keys()) {
      if (!/^(metadata|targets)\//.test(path)) expect(existsSync(join(repository.directory, path))).toBe(true);
    }
    expect(await repository.problems()).toEqual([]);
    for (const release of ['os@1', 'os@3', 'app@1']) {
      const pruned = await prune(repository, { remove: [parseReleaseReference(release)], grace: 0 });
      expect(pruned.files).toBeGreaterThan(3);
      expect(await repository.problems()).toEqual([]);
    }
    expect(repository.files('images')).toHaveLength(1);
    // The full delta of os@2, and the one that leads devices from the removed os@1 to it.
    expect(repository.files('deltas')).toHaveLength(2);
    expect(await prune(repository, { grace: 0, now: daysLater(30) })).toMatchObject({ files: 0, waiting: 0 });
    await repository.publish(['os@1', 'os@3'], { full: true });
    expect(await repository.problems()).toEqual([]);
  });

  it('leaves files for the grace period from when nothing refers to them, not from when they were made', async () => {
    const repository = filled();
    const remove = [parseReleaseReference('os@1')];
    const before = contentsOf(repository.directory);
    const now = daysLater(5);
    const first = await prune(repository, { remove, now });
    expect(first).toMatchObject({ releases: [{ name: 'os', version: '1' }], files: 0 });
    expect(first.waiting).toBeGreaterThan(3);
    for (const path of before.keys())
      if (path !== 'metadata/timestamp.json')
        expect([path, existsSync(join(repository.directory, path))]).toEqual([path, true]);
    expect(await prune(repository, { now: daysLater(11.9) })).toMatchObject({ files: 0, waiting: first.waiting });
    expect(await prune(repository, { now: daysLater(12) })).toMatchObject({ files: first.waiting, waiting: 0 });
    expect(await repository.problems()).toEqual([]);
  });

  it('keeps a file that is referred to again, and forgets that it once was not', async () => {
    const repository = filled();
    const remove = [parseReleaseReference('os@1')];
    await prune(repository, { remove });
    await repository.publish('os@1', { full: true });
    await prune(repository, { now: daysLater(30) });
    expect(await repository.problems()).toEqual([]);
    expect((await prune(repository, { remove, now: daysLater(31) })).files).toBe(0);
  });

  it('keeps the newest of each name and what channels offer', async () => {
    const repository = filled();
    const { releases } = await prune(repository, { keep: 1, grace: 0 });
    expect(releases).toEqual([{ name: 'os', version: '1' }]);
    await expect(prune(repository, { remove: [parseReleaseReference('os@2')] })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('stable'),
    });
    await expect(prune(repository, { remove: [parseReleaseReference('os@9')] })).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('changes nothing in a dry run, and says the same as the real one', async () => {
    const repository = filled();
    const before = contentsOf(repository.directory);
    const dry = await prune(repository, { keep: 1, grace: 0, dryRun: true });
    expect(contentsOf(repository.directory)).toEqual(before);
    const real = await prune(repository, { keep: 1, grace: 0 });
    expect(real.releases).toEqual(dry.releases);
    // The real one also leaves metadata of the view before it behind.
    expect(real.files).toBeGreaterThanOrEqual(dry.files);
  });

  it('removes nothing from a repository that it cannot read in full', async () => {
    const repository = filled();
    for (const image of repository.files('images')) truncateSync(join(repository.directory, 'images', image), 5);
    const before = contentsOf(repository.directory);
    await expect(prune(repository, { keep: 1, grace: 0 })).rejects.toMatchObject({ code: 'damaged-repository' });
    expect(contentsOf(repository.directory)).toEqual(before);
  });

  it('waits for pending signatures and other commands', async () => {
    const repository = filled();
    const releases = (await repository.ring()).forRole('releases');
    await build(join(base, 'pool'), 'os@4', { a: 'x' });
    repository.removeKeys('releases');
    await repository.publish('os@4', { signLater: true });
    await expect(prune(repository, { grace: 0 })).rejects.toMatchObject({ code: 'busy' });
    expect(releases).toHaveLength(1);
    using _lock = acquireLock(join(repository.directory, '.lock'), 'exclusive');
    await expect(prune(repository)).rejects.toMatchObject({ code: 'busy' });
  });
});
