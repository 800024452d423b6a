/** I4 for repositories: whatever a command was doing when it was cut off, readers have a whole view and the next run finishes it. */
import { join } from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { parseReleaseReference } from '../../src/repository/layout.ts';
import { pruneRepository } from '../../src/repository/prune.ts';
import { rotateKeys } from '../../src/repository/rotate.ts';
import { serveRepository } from '../../src/repository/serve.ts';
import { cutAt } from '../helpers/power-cut.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import {
  build,
  contentsOf,
  download,
  makeRepository,
  newPlace,
  openReader,
  seededRandom,
  type TestRepository,
  text,
} from './fixture.ts';

vi.mock('node:fs', async (original) => (await import('../helpers/power-cut.ts')).cuttable(await original()));
vi.mock('node:fs/promises', async (original) => (await import('../helpers/power-cut.ts')).cuttable(await original()));

const base = temporaryDirectory();
const pool = join(base, 'pool');
let template: TestRepository;

/** A repository that offers os@1, with os@2 in the pool, not published. */
beforeAll(async () => {
  const shared = { same: text('same', 20_000), rest: seededRandom('rest')(300_000) };
  await build(pool, 'os@1', { ...shared, own: text('one', 9000) });
  await build(pool, 'os@2', { ...shared, own: text('two', 9000), more: text('more', 50_000) });
  template = await makeRepository(base, { pool });
  await template.publish('os@1');
  await template.offer('os@1');
});

/** The releases that an independent reader finds; every file of the view must be whole. */
async function read(repository: TestRepository, state = 'reader'): Promise<string[]> {
  expect(await repository.problems()).toEqual([]);
  await using server = await serveRepository({ directory: repository.directory, host: '127.0.0.1', port: 0 });
  const found: string[] = [];
  for (const version of ['1', '2']) {
    const reader = openReader(server.url, repository, state);
    const target = `releases/os/${version}.json`;
    if ((await reader.getTargetInfo(target)) === undefined) continue;
    await download(reader, target);
    found.push(version);
  }
  return found;
}

/**
 * Cuts `change` off before each of its steps in turn, reads, lets it run again and checks it: by reading again, unless the
 * caller knows better. Gives the versions that readers
 * found after each cut, joined by commas.
 */
async function cutEverywhere(
  change: (repository: TestRepository) => Promise<unknown>,
  check: (repository: TestRepository) => unknown = (repository) => read(repository, 'known'),
): Promise<string[]> {
  const found: string[] = [];
  for (let step = 0, cut = true; cut; step++) {
    const repository = template.copyTo(newPlace(base));
    await read(repository, 'known');
    cut = await cutAt(step, () => change(repository));
    found.push(`${await read(repository)}`, `${await read(repository, 'known')}`);
    await change(repository);
    await check(repository);
  }
  return found;
}

describe('a command that is cut off before any of its steps', () => {
  it('publish: readers have the old view or the new one, and the next run gives the same bytes', async () => {
    const whole = template.copyTo(newPlace(base));
    await whole.publish('os@2');
    const expected = contentsOf(whole.directory);
    const found = await cutEverywhere(
      (repository) => repository.publish('os@2'),
      (repository) => expect(contentsOf(repository.directory)).toEqual(expected),
    );
    expect(found.length).toBeGreaterThan(20);
    expect(new Set(found)).toEqual(new Set(['1', '1,2']));
    // What was visible once stays so.
    expect(found).toEqual([...found].sort());
  });

  it.each(['timestamp', 'root', 'releases'] as const)(
    'rotate %s: readers that know the old root and such that do not both have a whole view',
    async (role) => {
      const keyIds = (await template.ring()).forRole('deltas').map((key) => key.keyId);
      const found = await cutEverywhere(async (repository) =>
        rotateKeys({ ...(await repository.common()), role, keyIds, random: seededRandom('none') }),
      );
      expect(new Set(found)).toEqual(new Set(['1']));
    },
  );

  it('prune: what is referred to stays', async () => {
    await template.publish('os@2');
    const found = await cutEverywhere(async (repository) => {
      const published = contentsOf(join(repository.directory, 'targets/releases')).size > 1;
      const remove = published ? [parseReleaseReference('os@2')] : [];
      await pruneRepository({ ...(await repository.common()), remove, grace: 0, dryRun: false }).catch((error) => {
        // Between the new view and the removal of the file of its target, the release is gone already.
        if (error.code !== 'not-found') throw error;
      });
    });
    expect(new Set(found)).toEqual(new Set(['1', '1,2']));
  });
});
