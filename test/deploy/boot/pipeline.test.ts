/** From a build that says what is booted of it to a device that boots it, through the command line. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCommand } from '../../helpers/run-command.ts';
import { longText } from '../../helpers/stack.ts';
import { temporaryDirectory } from '../../helpers/temporary.ts';
import { TestSite } from '../../pull/fixture.ts';

const base = temporaryDirectory();
let site: TestSite;
let root: string;
let partition: string;
let running = 'quiet';

const run = (...args: string[]) => runCommand([...args, '--root', root], '/', { SYSTEMD_PROC_CMDLINE: running });
async function json(...args: string[]) {
  const { status, stdout, stderr } = await run(...args, '--json');
  return { status, stderr, value: stdout === '' ? undefined : JSON.parse(stdout) };
}
const entries = () => readdirSync(join(partition, 'loader/entries')).sort();

async function release(version: string): Promise<void> {
  const tree = mkdtempSync(join(base, 'tree-'));
  const files = {
    'etc/version': version,
    'opt/linux/kernel': longText(`kernel ${version}`),
    'opt/linux/initrd': longText('one initrd for all'),
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  const boot = ['--kernel', 'opt/linux/kernel', '--initrd', '/opt/linux/initrd', '--kernel-arguments', 'quiet splash'];
  const words = ['build', tree, '--name', 'os', '--version', version, '--pool', site.repository.pool, '--arch', 'any'];
  expect(await runCommand([...words, ...boot])).toMatchObject({ stderr: '', status: 0 });
  await site.repository.publish(`os@${version}`);
  await site.channel(`os@${version}`);
}

/** The machine starts what is first in the menu, with the command line of its entry. */
function start(): void {
  const directory = join(partition, 'loader/entries');
  const [first = ''] = entries()
    .filter((file) => !file.includes('+0'))
    .sort((a, b) => Number(b.split('-')[2]) - Number(a.split('-')[2]));
  running = /^options (.*)$/m.exec(readFileSync(join(directory, first), 'utf8'))?.[1] ?? '';
  const [, name, left, done = 0] = /^(.*)\+(\d)(?:-(\d))?\.conf$/.exec(first) ?? [];
  if (name === undefined) return;
  renameSync(join(directory, first), join(directory, `${name}+${Number(left) - 1}-${Number(done) + 1}.conf`));
}

beforeAll(async () => {
  site = await TestSite.create(base);
  root = join(mkdtempSync(join(base, 'device-')), 'root');
  partition = mkdtempSync(join(base, 'esp-'));
  mkdirSync(join(partition, 'EFI'));
  const trust = join(site.repository.directory, 'metadata/1.root.json');
  const words = ['init', '--root', root, '--url', site.server.url, '--trust', trust, '--mountpoint', '/'];
  expect(await runCommand(words)).toMatchObject({ stderr: '', status: 0 });
  const boot = `[boot]\ndirectory = "${partition}"\narguments = ["root=UUID=1", "ro", "-splash"]\ntries = 2\n`;
  mkdirSync(join(root, 'osupd.toml.d'));
  writeFileSync(join(root, 'osupd.toml.d/boot.toml'), boot);
});
afterAll(() => site.server.close());

it('an upgrade prepares the next start; what it boots is marked as good', async () => {
  await release('1');
  const { status, value } = await json('upgrade');
  expect(status).toBe(0);
  expect(value.changes).toMatchObject([
    { stack: 'system', takesEffect: 'next-start', entry: { tries: 2, generation: 1, kernel: /vmlinuz$/ } },
  ]);
  expect(value.changes[0].entry.options.slice(-3)).toEqual(['quiet', 'root=UUID=1', 'ro']);
  start();
  expect((await run('mark-good')).stdout).toMatch(/^system: 1-[0-9a-f]{12} is good\n$/);
  expect((await run('mark-good')).stdout).toMatch(/marked as good before\n$/);
  expect(entries()).toEqual([expect.stringMatching(/^osupd-system-1-1-[0-9a-f]{12}\.conf$/)]);
});

it('a dry run prints the entry, the files and what becomes of /etc; status says what waits', async () => {
  await release('2');
  expect((await run('pull')).status).toBe(0);
  const { stdout } = await run('switch', '--dry-run');
  expect(stdout).toMatch(/^system: would boot 2-.* \(os 2\) at the next start, in place of 1-.*; it has 2 attempts\n/);
  expect(stdout).toMatch(
    / {2}writes osupd\/[0-9a-f]{64}\/vmlinuz, 9\.0 kB\n {2}writes loader\/entries\/osupd-system-2-/,
  );
  expect(stdout).toContain('local changes in /etc that stay: 0');
  expect(entries()).toHaveLength(1);
  expect((await run('switch')).stdout).toMatch(/^system: boots 2-.* at the next start/);
  expect((await run('switch')).stdout).toContain('its entry is there already');
  const text = (await run('status')).stdout;
  expect(text).toMatch(/2-[0-9a-f]{12} waits for the next start\n/);
  expect(text).toMatch(/Boot entry: osupd-system-2-.*\(2 attempts left\)/);
  expect(text).toMatch(/●\s+Current deployment: 1-/);
});

it('what does not come up is noted, and not pulled again before there is something else', async () => {
  start();
  start();
  start();
  expect((await run('mark-good')).stdout).toMatch(/^system: 2-.* failed: it did not come up in 2 attempts\nsystem: 1-/);
  for (const command of ['check', 'pull', 'upgrade']) {
    const { status, stderr } = await run(command);
    expect({ status, stderr }).toMatchObject({
      status: 3,
      stderr: expect.stringMatching(/os 1 -> 2 failed here: it did not come up in 2 attempts; osupd pull --retry/),
    });
  }
  expect((await run('status')).stdout).toMatch(/failed: os 2 \(2-.*\) at 2030-01-01T12:00:00Z: it did not come up/);
  expect((await run('pull', '--retry')).stdout).toContain('system: os 1 -> 2, next deployment is 2-');
  expect((await json('status')).value.stacks[0]).toMatchObject({ failed: [] });
  await run('switch');
  start();
  expect((await run('mark-bad', 'the', 'display', 'stays', 'dark')).stdout).toMatch(
    /2-.* is bad; the next start boots 1-/,
  );
  expect((await json('check')).status).toBe(3);
  await release('3');
  expect((await run('upgrade')).status).toBe(0);
  start();
  expect((await run('mark-good')).stdout).toContain('system: 3-');
});

it('a rollback is booted next; gc and undeploy take the entries along', async () => {
  const { value } = await json('rollback');
  expect(value.changes).toMatchObject([{ entry: { tries: null, generation: 5 }, etc: null }]);
  start();
  await run('mark-good');
  expect((await run('rollback', '--to', '3')).status).toBe(0);
  start();
  await run('mark-good');
  expect((await run('undeploy', 'rollback')).status).toBe(0);
  expect((await run('gc')).status).toBe(0);
  expect(entries()).toEqual([expect.stringMatching(/^osupd-system-6-3-/)]);
  expect(readdirSync(join(partition, 'osupd')).filter((name) => name.length === 64)).toHaveLength(2);
});

it('a machine that osupd has not booted marks nothing', async () => {
  running = 'quiet';
  for (const command of ['mark-good', 'mark-bad']) {
    const { status, stderr } = await run(command);
    expect({ status, stderr }).toMatchObject({ status: 5, stderr: expect.stringContaining('was not booted from') });
  }
});

it('options that say nothing sensible of a boot are refused before a build', async () => {
  const tree = mkdtempSync(join(base, 'tree-'));
  const words = ['build', tree, '--name', 'os', '--version', '9', '--pool', join(base, 'pool')];
  const build = (...more: string[]) => runCommand([...words, ...more]);
  expect((await build('--initrd', 'x')).status).toBe(2);
  expect((await build('--kernel', 'x', '--kernel-arguments', 'osupd.stack=evil')).status).toBe(2);
  expect((await build('--kernel', 'boot/none')).status).toBe(5);
});
