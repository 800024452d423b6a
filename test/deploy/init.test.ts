import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { readConfiguration } from '../../src/deploy/configuration.ts';
import { DeviceRoot } from '../../src/deploy/device.ts';
import { type InitRequest, initDevice } from '../../src/deploy/init.ts';
import { initRepository } from '../../src/repository/init.ts';
import { KeyRing } from '../../src/repository/key-ring.ts';
import { cutAt } from '../helpers/power-cut.ts';
import { runCommand } from '../helpers/run-command.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

vi.mock('node:fs', async (original) => (await import('../helpers/power-cut.ts')).cuttable(await original()));
vi.mock('node:fs/promises', async (original) => (await import('../helpers/power-cut.ts')).cuttable(await original()));

const directory = temporaryDirectory();
const URL = 'https://updates.example/os';
let root = '';
let otherRoot = '';

async function newRoot(): Promise<string> {
  const place = mkdtempSync(join(directory, 'repository-'));
  await initRepository({
    directory: join(place, 'repo'),
    ring: await KeyRing.open(join(place, 'keys')),
    now: new Date('2030-01-01T00:00:00Z'),
    random: (size) => randomBytes(size),
  });
  return join(place, 'repo/metadata/1.root.json');
}

beforeAll(async () => {
  root = await newRoot();
  otherRoot = await newRoot();
});

function freshDirectory(): string {
  return join(mkdtempSync(join(directory, 'init-')), 'root');
}

describe('osupd init', () => {
  it('makes the root, pins the trusted root and writes the configuration', async () => {
    const device = freshDirectory();
    const { status, stdout } = await runCommand(['init', '--root', device, '--url', URL, '--trust', root]);
    expect(status).toBe(0);
    expect(stdout).toContain(`set up ${device}, configured in ${device}/osupd.toml`);
    expect(stdout).toMatch(/trusts root version 1, SHA-256 [0-9a-f]{64}/);
    expect(readFileSync(join(device, 'trust/root.json'))).toEqual(readFileSync(root));
    expect(readConfiguration({ root: device })).toMatchObject({
      url: [URL],
      channel: 'stable',
      stacks: { system: { mountpoint: join(device, 'mnt/system'), switch: 'live' } },
    });
    await DeviceRoot.open(device);
  });

  it('takes mirrors, a stack and paths relative to the working directory', async () => {
    const device = freshDirectory();
    const args = ['init', '--root', 'root', '--url', 'repo', '--url', URL, '--trust', root, '--channel', 'beta'];
    const stack = [
      '--stack',
      'kiosk',
      '--image',
      'kiosk',
      '--image',
      'os',
      '--mountpoint',
      'shown',
      '--switch',
      'boot',
    ];
    const { status, stderr } = await runCommand([...args, ...stack], join(device, '..'));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(readConfiguration({ root: device })).toMatchObject({
      url: [join(device, '../repo'), URL],
      channel: 'beta',
      stacks: { kiosk: { mountpoint: join(device, '../shown'), images: ['kiosk', 'os'], switch: 'boot' } },
    });
  });

  it('does nothing the second time, whatever was added to the configuration meanwhile', async () => {
    const device = freshDirectory();
    const args = ['init', '--root', device, '--url', URL, '--trust', root];
    await runCommand(args);
    const file = join(device, 'osupd.toml');
    const text = `keep = 5\n${readFileSync(file, 'utf8')}`;
    writeFileSync(file, text);
    // A root that was rotated since is trusted because the pinned one vouched for it.
    writeFileSync(join(device, 'trust/root.json'), 'newer');
    const { status, stdout } = await runCommand(args);
    expect(status).toBe(0);
    expect(stdout).toContain('is set up like this already');
    expect(readFileSync(file, 'utf8')).toBe(text);
    expect(readFileSync(join(device, 'trust/root.json'), 'utf8')).toBe('newer');
  });

  it('refuses other values until it is forced', async () => {
    const device = freshDirectory();
    const args = ['init', '--root', device, '--url', URL, '--trust', root];
    await runCommand(args);
    const others = [...args.slice(0, 3), '--url', 'https://other.example/', '--trust', root, '--image', 'os', '--json'];
    const refused = await runCommand(others);
    expect(refused.status).toBe(2);
    expect(JSON.parse(refused.stderr)).toMatchObject({
      error: { code: 'usage', where: join(device, 'osupd.toml'), facts: { keys: ['url', 'stack.system.images'] } },
    });
    expect(readConfiguration({ root: device }).url).toEqual([URL]);
    expect((await runCommand([...others, '--force'])).status).toBe(0);
    expect(readConfiguration({ root: device }).url).toEqual(['https://other.example/']);
  });

  it('refuses another root of trust until it is forced, and then forgets what the first vouched for', async () => {
    const device = freshDirectory();
    const args = ['init', '--root', device, '--url', URL];
    await runCommand([...args, '--trust', root]);
    writeFileSync(join(device, 'trust/timestamp.json'), 'of the first');
    const refused = await runCommand([...args, '--trust', otherRoot]);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('trusts another root; give --force');
    expect((await runCommand([...args, '--trust', otherRoot, '--force'])).status).toBe(0);
    expect(readFileSync(join(device, 'trust/root.json'))).toEqual(readFileSync(otherRoot));
    expect(existsSync(join(device, 'trust/timestamp.json'))).toBe(false);
  });

  it.each([
    ['no JSON', 'not json'],
    ['other metadata', '{"signed":{"_type":"timestamp"},"signatures":[]}'],
  ])('refuses to trust %s', async (_, text) => {
    const device = freshDirectory();
    const file = join(device, '../root.json');
    writeFileSync(file, text);
    const { status, stderr } = await runCommand(['init', '--root', device, '--url', URL, '--trust', file]);
    expect(status).toBe(4);
    expect(stderr).toContain('not the root metadata of a repository');
    expect(existsSync(device)).toBe(false);
  });

  it('refuses a root whose signature does not fit', async () => {
    const device = freshDirectory();
    const changed = JSON.parse(readFileSync(root, 'utf8')) as { signed: { version: number } };
    changed.signed.version = 7;
    writeFileSync(join(device, '../root.json'), JSON.stringify(changed));
    const { status, stderr } = await runCommand([
      'init',
      '--root',
      device,
      '--url',
      URL,
      '--trust',
      `${device}/../root.json`,
    ]);
    expect(status).toBe(4);
    expect(stderr).toContain('not signed by the keys that it lists');
  });

  it.each([
    ['a trusted root that is not there', ['--url', URL, '--trust', '/nonexistent'], 5],
    ['no URL', ['--trust', '/nonexistent'], 2],
    ['a stack that cannot be named so', ['--url', URL, '--trust', '/nonexistent', '--stack', 'A/B'], 2],
  ])('refuses %s', async (_, args, expected) => {
    const { status, stderr } = await runCommand(['init', '--root', freshDirectory(), ...args]);
    expect(status).toBe(expected);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('keeps an address with a password for root alone', async () => {
    const device = freshDirectory();
    await runCommand(['init', '--root', device, '--url', 'https://me:secret@updates.example/', '--trust', root]);
    expect(statSync(join(device, 'osupd.toml')).mode & 0o777).toBe(0o600);
  });

  it('cut at any moment, it is done by running it again; a configuration means that it is complete', async () => {
    const request = (device: string): InitRequest => ({
      directory: device,
      configurationFile: join(device, 'osupd.toml'),
      url: [URL],
      channel: 'stable',
      stack: { name: 'system' },
      trust: { bytes: readFileSync(root), where: root },
      force: false,
    });
    let cuts = 0;
    for (let step = 0; ; step++) {
      const device = freshDirectory();
      if (!(await cutAt(step, () => initDevice(request(device))))) break;
      cuts++;
      if (existsSync(join(device, 'osupd.toml'))) expect(existsSync(join(device, 'trust/pinned-root'))).toBe(true);
      expect((await initDevice(request(device))).root.version).toBe(1);
      expect((await initDevice(request(device))).changed).toBe(false);
      expect(readFileSync(join(device, 'trust/root.json'))).toEqual(readFileSync(root));
    }
    expect(cuts).toBeGreaterThan(15);
  });
});
