import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { noise } from '../helpers/pools.ts';
import { jsonOf, runCommand } from '../helpers/run-command.ts';
import { makeSampleTree } from '../helpers/sample-tree.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();

interface Made {
  readonly size: number;
  readonly records: number;
  readonly head: { readonly size: number; readonly sha256: string };
  readonly objects: { readonly count: number; readonly bytes: number };
}

let first: string;
let second: string;
let made: Made;

async function build(version: string): Promise<string> {
  const options = ['--skip-xattrs', '--owner-map', '0:0', '--name', 'os', '--version', version, '--pool', 'pool'];
  const built = await jsonOf(['build', 'sample', ...options, '--clamp-mtime', '1700000000'], directory);
  return (built as { image: { digest: string } }).image.digest;
}

const run = (...args: string[]) => runCommand(['delta', ...args], directory);

/** The pool of a device with the first version alone. */
function newDevice(name: string): void {
  cpSync(join(directory, 'first'), join(directory, name), { recursive: true });
}

beforeAll(async () => {
  makeSampleTree(join(directory, 'sample'));
  first = await build('1');
  cpSync(join(directory, 'pool'), join(directory, 'first'), { recursive: true });
  const data = noise(100_000, 100_000);
  data.write('changed', 50_000);
  writeFileSync(join(directory, 'sample/usr/share/data'), data);
  writeFileSync(join(directory, 'sample/usr/share/new'), noise(3000, 1));
  second = await build('2');
  made = (await jsonOf(
    ['delta', 'make', '--pool', 'pool', '--from', 'os@1', '--to', 'os@2', 'update.osd'],
    directory,
  )) as Made;
});

describe('osupd delta make', () => {
  it('writes a file, and says what it is made of', () => {
    expect(made).toMatchObject({ file: 'update.osd', objects: { count: 2, bytes: 103_000 }, seconds: 0 });
    expect(statSync(join(directory, 'update.osd')).size).toBe(made.size);
    expect(made.size).toBeLessThan(5000);
  });

  it('makes the same file again from digests, and leaves nothing beside it', async () => {
    mkdirSync(join(directory, 'out'));
    const { status, stdout } = await run('make', '--pool', 'pool', '--from', first, '--to', second, 'out/again.osd');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^size {5}.* for the images\nobjects {2}2 new, 103\.0 kB, in /);
    expect(readFileSync(join(directory, 'out/again.osd')).equals(readFileSync(join(directory, 'update.osd')))).toBe(
      true,
    );
    expect(readdirSync(join(directory, 'out'))).toEqual(['again.osd']);
  });

  it('makes a delta from nothing', async () => {
    const full = (await jsonOf(['delta', 'make', '--pool', 'pool', '--to', 'os@2', 'full.osd'], directory)) as Made;
    expect(full.objects).toEqual({ count: 4, bytes: 108_065 });
    expect(full.size).toBeGreaterThan(made.size * 10);
  });

  it('says what takes the bytes, by kind and codec, and names the largest records', async () => {
    const { stdout } = await run('make', '--pool', 'pool', '--from', 'os@1', '--to', 'os@2', 'again.osd');
    expect(stdout).toMatch(/^ {2}[a-z]+ +\d+ objects +[\d.]+ kB -> +[\d.]+ k?B {2}[a-z-]+ [\d.]+ k?B/m);
    expect(stdout).toMatch(/\nlargest\n(.*\n)* +[\d.]+ k?B {2}[a-z-]+ +\/?usr\/share\/(new|data)( and \d+ more)?\n/);
  });

  it('fails for images that the pool does not have, and writes nothing', async () => {
    expect((await run('make', '--pool', 'pool', '--to', 'os@3', 'none.osd')).status).toBe(5);
    expect((await run('make', '--pool', 'first', '--from', first, '--to', second, 'none.osd')).status).toBe(5);
    expect((await run('make', '--pool', 'gone', '--to', 'os@2', 'none.osd')).status).toBe(5);
    expect((await run('make', '--pool', 'pool', '--to', 'os@2', '--to', 'os@2', 'none.osd')).status).toBe(2);
    expect(readdirSync(directory).filter((name) => name.includes('none'))).toEqual([]);
  });
});

describe('osupd delta make in jobs', () => {
  const images = ['--pool', 'pool', '--from', 'os@1', '--to', 'os@2'];
  const doJobs = (plan: string, ...args: string[]) =>
    runCommand(['delta', 'make', '--pool', 'pool', '--results', 'results', ...args], directory, {}, plan);

  it('prints a plan, does single jobs and all, and makes the same delta', async () => {
    const { stdout: plan } = await run('make', ...images, '--plan');
    const jobs = plan
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(jobs).toHaveLength(made.records);
    expect(jobs[0]).toMatchObject({ effort: 7, members: [{ path: '/usr/share/data', size: 100_000 }, {}] });
    expect((await doJobs(plan, '--job', jobs[0].job)).stdout).toBe('1 jobs done\n');
    expect(readdirSync(join(directory, 'results'))).toEqual([`${jobs[0].job}.record`]);
    expect((await doJobs(plan, '--job', '-', '--json')).stdout).toBe(`{"made":${jobs.length - 1},"present":1}\n`);
    const { status } = await run('make', ...images, '--results', 'results', 'spread.osd');
    expect(status).toBe(0);
    expect(readFileSync(join(directory, 'spread.osd')).equals(readFileSync(join(directory, 'update.osd')))).toBe(true);
  });

  it('says what is wrong with a job, a plan or the options', async () => {
    const { stdout: plan } = await run('make', ...images, '--plan');
    expect((await doJobs(plan, '--job', 'f00')).status).toBe(5);
    expect((await doJobs(plan.replace('"effort":7', '"effort":8'), '--job', '-')).status).toBe(2);
    expect((await doJobs('text', '--job', '-')).stderr).toMatch(/^osupd: delta make: this line is no job: /);
    expect((await run('make', '--pool', 'pool', '--job', '-')).stderr).toContain('--job needs --results');
    expect((await run('make', '--pool', 'pool', 'none.osd')).stderr).toContain('no --to');
    expect((await run('make', ...images)).stderr).toContain('no file for the delta');
    expect((await run('make', ...images, '--plan', '--results', 'results')).status).toBe(2);
  });
});

describe('osupd delta apply', () => {
  it('brings the new image with its objects into the pool, and nothing a second time', async () => {
    newDevice('device');
    const applied = await jsonOf(['delta', 'apply', 'update.osd', '--pool', 'device'], directory);
    expect(applied).toMatchObject({ to: [second], images: [second], added: { count: 2, bytes: 103_000 } });
    const image = (pool: string) => readFileSync(join(directory, pool, 'images', second));
    expect(image('device').equals(image('pool'))).toBe(true);
    expect((await runCommand(['fsck', '--pool', 'device'], directory)).status).toBe(0);
    const again = await jsonOf(['delta', 'apply', 'update.osd', '--pool', 'device'], directory);
    expect(again).toMatchObject({ images: [], added: { count: 0, bytes: 0 }, read: 0 });
  });

  it('brings an image from nothing into an empty pool', async () => {
    await runCommand(['build', 'sample/var', '--name', 'any', '--version', '1', '--pool', 'empty'], directory);
    const { status, stdout } = await run('apply', 'full.osd', '--pool', 'empty');
    expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringContaining(`image    ${second}\n`) });
    expect((await runCommand(['fsck', '--pool', 'empty'], directory)).status).toBe(0);
  });

  it('says that the image is missing which the delta starts from', async () => {
    const { status, stderr } = await run('apply', 'update.osd', '--pool', 'empty');
    expect(status).toBe(5);
    expect(stderr).toContain(first);
  });

  it('refuses a damaged file, and the pool stays good', async () => {
    newDevice('careful');
    const good = readFileSync(join(directory, 'update.osd'));
    const bad = Buffer.from(good);
    bad[bad.length - 20]! ^= 1;
    for (const [name, content] of Object.entries({
      bad,
      short: good.subarray(0, -1),
      text: Buffer.alloc(99, 'text'),
    })) {
      writeFileSync(join(directory, `${name}.osd`), content);
      const { status, stderr } = await run('apply', `${name}.osd`, '--pool', 'careful');
      expect([4, 10], stderr).toContain(status);
      expect(stderr).toMatch(/^osupd: delta apply: /);
    }
    expect(readdirSync(join(directory, 'careful/images'))).toEqual([first]);
    expect((await runCommand(['fsck', '--pool', 'careful'], directory)).status).toBe(0);
    expect((await run('apply', 'gone.osd', '--pool', 'careful')).status).toBe(5);
  });

  it('points to fsck --repair where the pool lacks an object that the delta builds on', async () => {
    newDevice('lacking');
    for (const prefix of readdirSync(join(directory, 'lacking/objects')))
      rmSync(join(directory, 'lacking/objects', prefix), { recursive: true });
    const { status, stderr } = await run('apply', 'update.osd', '--pool', 'lacking');
    expect(status).toBe(10);
    expect(stderr).toContain('osupd fsck --repair');
  });
});

describe('osupd delta info', () => {
  it('names the file that is no delta', async () => {
    writeFileSync(join(directory, 'text.osd'), 'x'.repeat(1000));
    const { status, stderr } = await run('info', 'text.osd');
    expect(status).toBe(10);
    expect(stderr).toMatch(/^osupd: delta info: \/[^:]*\/text\.osd: this is no delta file; [^\n]*\n$/);
  });

  it('prints what the delta leads from and to', async () => {
    const { stdout } = await run('info', 'update.osd');
    expect(stdout).toContain(`from     ${first}\nto       ${second}\nsize     `);
    expect(stdout).toContain(`objects  2 in ${made.records} records\n`);
    expect((await run('info', 'full.osd')).stdout).toContain('from     nothing\n');
    const facts = await jsonOf(['delta', 'info', 'update.osd'], directory);
    expect(facts).toMatchObject({
      file: 'update.osd',
      size: made.size,
      head: made.head.size,
      from: [first],
      to: [second],
    });
  });

  it('refuses what is no delta', async () => {
    expect((await run('info', 'sample/usr/share/data')).status).toBe(10);
    writeFileSync(join(directory, 'empty.osd'), '');
    expect((await run('info', 'empty.osd')).status).toBe(10);
    cpSync(join(directory, 'update.osd'), join(directory, 'cut.osd'));
    truncateSync(join(directory, 'cut.osd'), 100);
    expect((await run('info', 'cut.osd')).status).toBe(10);
  });
});

describe('osupd delta explain', () => {
  it('prints where every part is, without a gap', async () => {
    const { stdout } = await run('explain', 'update.osd');
    const lines = stdout.trimEnd().split('\n');
    expect(lines.slice(0, 3)).toEqual([
      `delta of ${made.size} bytes: head ${made.head.size}, payload ${made.size - made.head.size}`,
      `from image 0  ${first}`,
      `to image 0  ${second}`,
    ]);
    const parts = lines.slice(3).map((line) => /^at (\d+): (?:to image|record) \d+, (\d+) bytes, /.exec(line)!);
    expect(parts).toHaveLength(1 + made.records);
    for (const [index, [, at, length]] of parts.entries())
      expect(Number(at) + Number(length)).toBe(Number(parts[index + 1]?.[1] ?? made.size));
  });

  it('prints the header as JSON', async () => {
    const explained = await jsonOf(['delta', 'explain', 'update.osd'], directory);
    expect(explained).toMatchObject({ from: [first], to: [second], images: [{ base: 0 }], headBytes: made.head.size });
  });
});
