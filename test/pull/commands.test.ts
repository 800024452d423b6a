import { execFile as execFileCallback } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseRate } from '../../src/cli/rate.ts';
import { encodeChannel } from '../../src/repository/channel.ts';
import { type ChannelPolicy, setChannel } from '../../src/repository/channels.ts';
import { channelTarget, parseReleaseReference } from '../../src/repository/layout.ts';
import { Revision } from '../../src/repository/revision.ts';
import { itWith } from '../helpers/requirements.ts';
import { runCommand } from '../helpers/run-command.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { NOW } from '../repository/fixture.ts';
import { TestSite, versionOf } from './fixture.ts';

const PROGRAM = resolve(import.meta.dirname, '../helpers/osupd-from-source.ts');
const execFile = promisify(execFileCallback);

const base = temporaryDirectory();
let site: TestSite;

beforeAll(async () => {
  site = await TestSite.create(base);
  for (const version of [1, 2, 3]) await site.release(`os@${version}`, versionOf(version, 20, 5));
  await site.release('app@1', { app: 'x'.repeat(10_000) });
});
afterAll(() => site.server.close());
beforeEach(() => {
  site.server.behaviour = () => false;
  site.server.log.length = 0;
});

async function offer(reference: string, policy: ChannelPolicy = {}, channel = 'stable'): Promise<void> {
  const { repository } = site;
  const releases = [parseReleaseReference(reference)];
  const ring = await repository.ring();
  await setChannel({ directory: repository.directory, ring, channel, releases, policy, now: NOW });
}

/** A channel with os@1 below its own floor, which the commands do not sign. */
async function signFloored(channel: string): Promise<void> {
  const { repository } = site;
  using revision = await Revision.begin({ directory: repository.directory, ring: await repository.ring(), now: NOW });
  const os = { version: '1', ramp: [], halted: false, urgent: false, floor: '2' };
  revision.setTarget(channelTarget(channel), encodeChannel({ schema: 'osupd-channel/1', channel, releases: { os } }));
  await revision.commit();
}

async function newDevice(...options: string[]): Promise<string> {
  const root = join(mkdtempSync(join(base, 'device-')), 'root');
  const trust = join(site.repository.directory, 'metadata/1.root.json');
  const { status, stderr } = await runCommand([
    'init',
    '--root',
    root,
    '--url',
    site.server.url,
    '--trust',
    trust,
    ...options,
  ]);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return root;
}

/** Gives a device other mirrors. */
function useMirrors(root: string, ...mirrors: string[]): void {
  const file = join(root, 'osupd.toml');
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^url = .*$/m, `url = ${JSON.stringify(mirrors)}`));
}

const osupd = (root: string, ...args: string[]) => runCommand([...args, '--root', root]);

/** The versions that a link of a stack names. */
function linked(root: string, kind: string, stack = 'system'): string | undefined {
  const link = join(root, kind, stack);
  if (!existsSync(link)) return undefined;
  const { images } = JSON.parse(readFileSync(join(link, 'deployment.json'), 'utf8'));
  return images.map(({ name, version }: { name: string; version: string }) => `${name} ${version}`).join(', ');
}

/** Makes the next deployment the current one without any mount, as a switch does to the links. */
async function use(root: string, stack = 'system'): Promise<void> {
  const { DeviceRoot } = await import('../../src/deploy/device.ts');
  const { makeCurrent } = await import('../../src/deploy/links.ts');
  const id = basename(readlinkSync(join(root, 'next', stack)));
  await makeCurrent(await DeviceRoot.open(root), stack, id, () => {});
}

describe('check and pull', () => {
  it('find the first release, bring it, and then have nothing to do', async () => {
    await offer('os@1');
    const root = await newDevice();
    const check = await osupd(root, 'check');
    expect(check).toMatchObject({ status: 0, stderr: '' });
    expect(check.stdout).toMatch(/^system: os 1\n[\d.]+ kB to download\n$/);
    const pull = await osupd(root, 'pull');
    expect(pull.status).toBe(0);
    expect(pull.stdout).toMatch(
      /^system: os 1, next deployment is 1-[0-9a-f]{12}\ndownloaded [\d.]+ kB; 20 new objects, [\d.]+ kB\n$/,
    );
    expect(linked(root, 'next')).toBe('os 1');
    expect(await osupd(root, 'check')).toMatchObject({
      status: 0,
      stdout: 'system: os 1 (pulled, waits for osupd switch)\n0 B to download\n',
    });
    const again = await osupd(root, 'pull');
    expect(again).toMatchObject({ status: 3, stdout: '', stderr: 'osupd: pull: up to date: system has os 1\n' });
    await use(root);
    expect(await osupd(root, 'check')).toMatchObject({
      status: 3,
      stderr: 'osupd: check: up to date: system has os 1\n',
    });
  });

  it('leave a mirror that is stale or damaged for the next one, and name the preferred where none is good', async () => {
    await offer('os@1', {}, 'mirrored');
    const [stale, damaged] = [join(base, 'stale'), join(base, 'damaged')];
    cpSync(site.repository.directory, stale, { recursive: true });
    await offer('os@2', {}, 'mirrored');
    cpSync(site.repository.directory, damaged, { recursive: true });
    writeFileSync(join(damaged, 'metadata/timestamp.json'), 'moved');
    const root = await newDevice('--channel', 'mirrored');
    expect(await osupd(root, 'check')).toMatchObject({ status: 0 });
    useMirrors(root, stale, damaged, site.server.url);
    expect(await osupd(root, 'pull')).toMatchObject({ status: 0, stdout: expect.stringContaining('system: os 2,') });
    useMirrors(root, stale, damaged);
    const pull = await osupd(root, 'pull');
    expect(pull.status).toBe(4);
    expect(pull.stderr).toMatch(/^osupd: pull: file:.*\/stale\/metadata\/timestamp\.json: [^\n]*\n$/);
  });

  it('go from version to version, also back when the channel does', async () => {
    await offer('os@1');
    const root = await newDevice();
    await osupd(root, 'pull');
    await use(root);
    await offer('os@2');
    expect((await osupd(root, 'check')).stdout).toContain('system: os 1 -> 2\n');
    expect((await osupd(root, 'pull')).stdout).toContain('system: os 1 -> 2, next deployment is 2-');
    await use(root);
    await offer('os@1');
    site.server.log.length = 0;
    const back = await osupd(root, 'pull');
    expect(back.stdout).toContain('system: os 2 -> 1, next deployment is 1-');
    expect(back.stdout).toContain('downloaded 0 B');
    expect(linked(root, 'next')).toBe('os 1');
    expect(site.contentRequests()).toEqual([]);
  });

  it('withdraw what was pulled when the channel goes back to what is in use', async () => {
    await offer('os@1');
    const root = await newDevice();
    await osupd(root, 'pull');
    await use(root);
    await offer('os@2');
    await osupd(root, 'pull');
    await offer('os@1');
    expect(await osupd(root, 'check')).toMatchObject({ status: 3 });
    expect((await osupd(root, 'pull')).stdout).toContain(
      'system: stays at os 1; what was pulled is not offered any more',
    );
    expect([linked(root, 'current'), linked(root, 'next')]).toEqual(['os 1', undefined]);
  });

  it('tell programs the same in JSON', async () => {
    await offer('os@1');
    const root = await newDevice();
    const check = JSON.parse((await osupd(root, 'check', '--json')).stdout);
    expect(check).toMatchObject({
      channel: 'stable',
      available: true,
      stacks: [{ stack: 'system', state: 'available', images: [{ name: 'os', from: null, to: '1' }] }],
      download: { bytes: expect.any(Number), requests: expect.any(Number) },
      space: { bytes: expect.any(Number), inodes: expect.any(Number) },
      plan: [{ name: 'os', way: { kind: 'objects', exact: true }, objects: { count: 20 } }],
    });
    const pull = JSON.parse((await osupd(root, 'pull', '--json')).stdout);
    expect(pull).toMatchObject({
      added: { count: 20 },
      deployments: [{ stack: 'system', deployment: expect.any(String) }],
    });
    const nothing = await osupd(root, 'pull', '--json');
    expect(nothing.status).toBe(3);
    expect(JSON.parse(nothing.stderr)).toMatchObject({ error: { code: 'nothing-to-do', exitStatus: 3 } });
    await use(root);
    const none = await osupd(root, 'check', '--json');
    expect(none.status).toBe(3);
    expect(JSON.parse(none.stdout)).toMatchObject({ available: false, stacks: [{ state: 'up-to-date' }] });
  });

  it('explain the plan without doing it', async () => {
    await offer('os@2');
    const root = await newDevice();
    const dry = await osupd(root, 'pull', '--dry-run');
    expect(dry.status).toBe(0);
    expect(dry.stdout).toMatch(/^os 2:\n {2}takes single objects: [\d.]+ kB in 20 requests\n[\d.]+ kB to download/);
    expect(linked(root, 'next')).toBeUndefined();
    expect(readdirSync(join(root, 'images'))).toEqual([]);
    expect(site.contentRequests().some((path) => path.startsWith('objects/'))).toBe(false);
  });

  it('pull one stack of several, each with its images', async () => {
    await offer('os@1');
    await offer('app@1');
    const root = await newDevice();
    const configuration = join(root, 'osupd.toml');
    writeFileSync(
      configuration,
      `${readFileSync(configuration, 'utf8').split('[stack')[0]}
[stack.system]
mountpoint = "/srv/system"
images = ["os"]
[stack.kiosk]
mountpoint = "/srv/kiosk"
images = ["app", "os"]
`,
    );
    expect((await osupd(root, 'pull', 'kiosk')).stdout).toContain('kiosk: app 1, os 1, next deployment');
    expect([linked(root, 'next', 'kiosk'), linked(root, 'next')]).toEqual(['app 1, os 1', undefined]);
    expect((await osupd(root, 'pull')).stdout).toContain('downloaded 0 B');
    expect(linked(root, 'next')).toBe('os 1');
    expect(await osupd(root, 'pull', 'nothing')).toMatchObject({ status: 5 });
  });

  it('ask for the next root and the timestamp when nothing is new, and for nothing else', async () => {
    await offer('os@1');
    const root = await newDevice();
    await osupd(root, 'pull');
    site.server.log.length = 0;
    expect((await osupd(root, 'pull')).status).toBe(3);
    expect(site.server.log.map(({ path }) => path)).toEqual(['metadata/2.root.json', 'metadata/timestamp.json']);
  });

  it('say what is wrong in one line, and leave what runs alone', async () => {
    await offer('os@1');
    const root = await newDevice();
    await osupd(root, 'pull');
    await use(root);
    await offer('os@3');
    site.server.behaviour = (_request, response, path) => {
      if (!path.startsWith('objects/')) return false;
      response.writeHead(200).end('rubbish');
      return true;
    };
    const pull = await osupd(root, 'pull');
    expect(pull).toMatchObject({ status: 4, stdout: '' });
    expect(pull.stderr).toMatch(/^osupd: pull: http:.*objects.*: it is not what was signed: .*; try again later .*\n$/);
    expect([linked(root, 'current'), linked(root, 'next')]).toEqual(['os 1', undefined]);
    rmSync(join(root, 'trust/root.json'));
    expect(await osupd(root, 'check')).toMatchObject({ status: 5 });
    const { stderr } = await osupd(root, 'check');
    expect(stderr).toMatch(/osupd: check: .*trust\/root.json: this device trusts no repository yet; run osupd init/);
  });

  it('refuse a rate that is no number of bytes', async () => {
    const root = await newDevice();
    for (const rate of ['1x', '-5', 'fast', '', '0.1']) {
      expect(await osupd(root, 'pull', '--limit-rate', rate), rate).toMatchObject({ status: 2 });
    }
    expect([parseRate('1'), parseRate('500k'), parseRate('1.5M'), parseRate('2G')]).toEqual([1, 5e5, 1.5e6, 2e9]);
  });

  it('do not run beside another osupd that changes the root', async () => {
    await offer('os@1');
    const root = await newDevice();
    const { DeviceRoot } = await import('../../src/deploy/device.ts');
    using _lock = (await DeviceRoot.open(root)).lock();
    expect(await osupd(root, 'pull')).toMatchObject({ status: 8 });
    expect(await osupd(root, 'check')).toMatchObject({ status: 0 });
  });
});

describe('the rollout', () => {
  const later: ChannelPolicy = {
    ramp: [
      ['2031-01-01T00:00:00Z', 0],
      ['2031-01-02T00:00:00Z', 100],
    ],
  };

  it('holds a device back until its turn, and says until when', async () => {
    await offer('os@1', {}, 'slow');
    const root = await newDevice('--channel', 'slow');
    await osupd(root, 'pull');
    await use(root);
    await offer('os@2', later, 'slow');
    const check = await osupd(root, 'check');
    expect(check.status).toBe(11);
    expect(check.stderr).toMatch(
      /the rollout of os 2 is at 0.0 % and this device at .* held back until about 2031-01-01T/,
    );
    expect(await osupd(root, 'pull')).toMatchObject({ status: 11, stdout: '' });
    expect(linked(root, 'next')).toBeUndefined();
    const json = JSON.parse((await osupd(root, 'check', '--json')).stdout);
    expect(json).toMatchObject({ available: false, stacks: [{ state: 'held-back', heldBack: { gate: 'ramp' } }] });
  });

  it('does not hold back a device that has nothing yet', async () => {
    await offer('os@2', later, 'slow');
    const root = await newDevice('--channel', 'slow');
    expect(await osupd(root, 'pull')).toMatchObject({ status: 0 });
  });

  it('that is halted stops all, and takes back what was pulled but not put in use', async () => {
    await offer('os@1', {}, 'halting');
    const root = await newDevice('--channel', 'halting');
    await osupd(root, 'pull');
    await use(root);
    await offer('os@3', {}, 'halting');
    await osupd(root, 'pull');
    await offer('os@3', { halted: true }, 'halting');
    expect(await osupd(root, 'check')).toMatchObject({ status: 11 });
    expect((await osupd(root, 'pull')).stdout).toContain('stays at os 1');
    expect(linked(root, 'next')).toBeUndefined();
    const fresh = await newDevice('--channel', 'halting');
    expect(await osupd(fresh, 'pull')).toMatchObject({ status: 11 });
  });

  it('takes no version below the floor', async () => {
    await signFloored('floored');
    const root = await newDevice('--channel', 'floored');
    const pull = await osupd(root, 'pull');
    expect(pull.status).toBe(4);
    expect(pull.stderr).toContain("os 1 is older than the channel's floor 2");
  });
});

describe('upgrade', () => {
  itWith(['root', 'unshare'], 'pulls, switches under the mountpoint, and then has nothing to do', async () => {
    await offer('os@1', {}, 'upgrading');
    const root = await newDevice('--channel', 'upgrading');
    // The mounts live in a namespace of their own, and go with it.
    const program = `node ${PROGRAM} upgrade --root ${root}`;
    const inNamespace = (script: string) =>
      execFile('unshare', ['-m', 'sh', '-c', script.replaceAll('node ', `${process.execPath} `)], { encoding: 'utf8' });
    const { stdout } = await inNamespace(`set -e
${program}
cat ${root}/mnt/system/file-0 | sha256sum
${program} || echo exit $?`);
    const content = createHash('sha256')
      .update(versionOf(1, 20, 5)['file-0']!)
      .digest('hex');
    expect(stdout).toMatch(/^system: os 1, next deployment is 1-.*\ndownloaded .*\nsystem: .*mnt\/system shows 1-/);
    expect(stdout).toContain(content);
    expect(stdout).toMatch(/exit 3\n$/);
    expect([linked(root, 'current'), linked(root, 'next')]).toEqual(['os 1', undefined]);
  });

  it('brings what switches when the machine starts, and says that there is no boot partition to switch it with', async () => {
    await offer('os@1', {}, 'booting');
    const root = await newDevice('--channel', 'booting', '--switch', 'boot');
    const upgrade = await osupd(root, 'upgrade');
    expect(upgrade.status).toBe(5);
    expect(upgrade.stderr).toContain('no boot partition is mounted');
    expect(linked(root, 'next')).toBe('os 1');
  });
});
