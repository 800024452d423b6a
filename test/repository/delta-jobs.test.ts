import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../helpers/run-command.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { build, contentsOf, makeRepository, newPlace, type TestRepository, text } from './fixture.ts';

const SIDES = ['--from', 'os@1', '--to', 'os@2', '--effort', '1'];
const base = temporaryDirectory();
let published: TestRepository;

beforeAll(async () => {
  published = await makeRepository(base);
  const files = { one: text('one', 300_000), two: text('two', 9000), three: text('three', 20_000) };
  await build(published.pool, 'os@1', files);
  await build(published.pool, 'os@2', { ...files, one: `${files.one}more`, two: text('second', 9000) });
  await published.publish(['os@1', 'os@2']);
});

/** A copy of the repository, without its keys for who only does jobs. */
function copy(): TestRepository {
  return published.copyTo(newPlace(base));
}

async function osupd({ directory }: TestRepository, args: readonly string[], stdin = ''): Promise<string> {
  const { status, stdout, stderr } = await runCommand(['repo', 'delta', directory, ...args], base, {}, stdin);
  expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' });
  return stdout;
}

describe('osupd repo delta in jobs', () => {
  it('gives the same repository as one command, without keys for plan and jobs, on a copy', async () => {
    const whole = copy();
    await osupd(whole, ['--keys', whole.keys, ...SIDES]);
    const worker = copy();
    rmSync(worker.keys, { recursive: true });
    const before = contentsOf(worker.directory);
    const plan = await osupd(worker, [...SIDES, '--plan']);
    const results = join(newPlace(base), 'results');
    expect(await osupd(worker, ['--job', '-', '--results', results], plan)).toMatch(/^\d+ jobs done\n$/);
    expect(contentsOf(worker.directory)).toEqual(before);
    const spread = copy();
    await osupd(spread, ['--keys', spread.keys, ...SIDES, '--results', results]);
    const deltas = ({ directory }: TestRepository) => contentsOf(join(directory, 'deltas'));
    expect(deltas(spread).size).toBe(1);
    expect(deltas(spread)).toEqual(deltas(whole));
    expect(await spread.problems(new Date('2030-01-02T00:00:00Z'))).toEqual([]);
  });

  it('leaves what was made where a later run finds it', async () => {
    const repository = copy();
    const results = join(newPlace(base), 'results');
    await osupd(repository, ['--keys', repository.keys, ...SIDES, '--results', results]);
    const plan = await osupd(repository, [...SIDES, '--plan']);
    const names = plan.match(/"job":"[0-9a-f]{64}"/g)!.map((match) => `${match.slice(7, -1)}.record`);
    expect(readdirSync(results).sort()).toEqual(names.sort());
    const done = await osupd(repository, ['--job', '-', '--results', results, '--json'], plan);
    expect(JSON.parse(done)).toEqual({ made: 0, present: names.length });
  });

  it('says what the delta is made of with --json', async () => {
    const repository = copy();
    const added = JSON.parse(await osupd(repository, ['--keys', repository.keys, ...SIDES, '--json']));
    const { delta, summary, steps } = added;
    expect(summary).toMatchObject({ size: delta.size, head: delta.head, objects: { count: 2 } });
    expect(Object.keys(steps)).toContain('encode');
    const again = JSON.parse(await osupd(repository, ['--keys', repository.keys, ...SIDES, '--json']));
    expect(again.summary).toBeUndefined();
  });

  it('fails for what it lacks', async () => {
    const repository = copy();
    const run = (args: readonly string[], stdin = '') =>
      runCommand(['repo', 'delta', repository.directory, ...args], base, {}, stdin);
    expect(await run([...SIDES])).toMatchObject({ status: 2, stderr: expect.stringContaining('no --keys') });
    expect(await run(['--keys', repository.keys])).toMatchObject({ status: 2 });
    expect(await run(['--to', 'os@3', '--plan'])).toMatchObject({ status: 5 });
    const plan = await osupd(repository, [...SIDES, '--plan']);
    const results = join(newPlace(base), 'results');
    for (const entry of readdirSync(join(repository.directory, 'objects')))
      rmSync(join(repository.directory, 'objects', entry), { recursive: true });
    const failed = await run(['--job', '-', '--results', results], plan);
    expect(failed).toMatchObject({
      status: 10,
      stderr: expect.stringMatching(/^osupd: repo delta: .*object is missing/),
    });
    expect(readdirSync(results)).toEqual([]);
  });
});
