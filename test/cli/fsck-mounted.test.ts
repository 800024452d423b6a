/** Repairs under a stack that is mounted and read. */
import { closeSync, mkdirSync, openSync, readFileSync, readSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { unmountStack } from '../../src/deploy/live.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { Pool } from '../../src/objects/pool.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { describeWith } from '../helpers/requirements.ts';
import { runCommand } from '../helpers/run-command.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { TestSite, versionOf } from '../pull/fixture.ts';

const base = temporaryDirectory();
const FILES = versionOf(1, 12, 0);
/** In the UUID of the file system, which nobody reads. */
const HARMLESS_OFFSET = 1024 + 48;

let site: TestSite;
let root: string;
let pool: Pool;
let image: Digest;
let number = 0;

const osupd = (...args: string[]) => runCommand([...args, '--root', root]);
const shown = (name: string) => readFileSync(join(root, 'mnt/system', name));
const objectOf = (name: string) => pool.objectPath(fsverityDigest(FILES[name] as Buffer));

function flip(path: string, offset: number): void {
  const fd = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, offset);
  writeSync(fd, Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, offset);
  closeSync(fd);
}

describeWith(['root'], 'osupd fsck --repair under a mounted stack', () => {
  beforeAll(async () => {
    enterMountNamespace();
    site = await TestSite.create(base);
    await site.release('os@1', FILES);
    await site.channel('os@1');
    image = site.images.get('os@1') as Digest;
  });
  afterAll(() => site.server.close());

  beforeEach(async () => {
    root = join(base, `root-${number++}`);
    const trust = join(site.repository.directory, 'metadata/1.root.json');
    expect((await osupd('init', '--url', site.server.url, '--trust', trust)).status).toBe(0);
    expect((await osupd('upgrade')).status).toBe(0);
    pool = await Pool.open(root);
    site.server.log.splice(0);
  });
  afterEach(() => unmountStack(join(root, 'mnt/system'), { lazy: true }));

  it('brings the right content back to everybody, and fetches nothing else', async () => {
    const objects = ['file-0', 'file-1', 'file-2'];
    // Read before, so that the kernel remembers the inodes.
    for (const name of objects) expect(shown(name).equals(FILES[name] as Buffer)).toBe(true);
    flip(objectOf('file-0'), 5000);
    truncateSync(objectOf('file-1'), 100);
    rmSync(objectOf('file-2'));
    expect(shown('file-0').equals(FILES['file-0'] as Buffer)).toBe(false);
    const { status, stdout } = await osupd('fsck', '--repair', '--json');
    expect(status).toBe(0);
    for (const name of objects) expect(shown(name).equals(FILES[name] as Buffer), name).toBe(true);
    const requests = site.contentRequests().filter((path) => path.startsWith('objects/'));
    expect(requests).toHaveLength(3);
    const bytes = requests.map((path) => readFileSync(join(site.repository.directory, path)).length);
    expect(JSON.parse(stdout)).toMatchObject({
      problems: [],
      repaired: { fetched: 3, downloaded: bytes.reduce((sum, each) => sum + each, 0) },
    });
  });

  it('says which objects processes still read as they were', async () => {
    flip(objectOf('file-3'), 5000);
    const fd = openSync(join(root, 'mnt/system/file-3'), 'r');
    const { status, stdout } = await osupd('fsck', '--repair');
    expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringContaining('still-read  objects/') });
    closeSync(fd);
    // Nobody has it open, but the mount still remembers it.
    expect(shown('file-3').equals(FILES['file-3'] as Buffer)).toBe(false);
    expect((await osupd('fsck')).stdout).toContain('still-read');
    const again = await osupd('fsck', '--repair', '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({ problems: [], repaired: { downloaded: 0 } });
    expect(shown('file-3').equals(FILES['file-3'] as Buffer)).toBe(true);
  });

  it('of its image: gc keeps what the mount needs, also when no deployment names it any more', async () => {
    flip(pool.imagePath(image), HARMLESS_OFFSET);
    expect((await osupd('fsck')).stdout).toContain('changed-image');
    expect((await osupd('fsck', '--repair')).stdout).toContain('still-read  images/');
    rmSync(join(root, 'current/system'));
    expect((await osupd('undeploy', '1')).status).toBe(2);
    rmSync(join(root, 'deployments/system'), { recursive: true });
    expect((await osupd('gc')).status).toBe(0);
    for (const name of Object.keys(FILES)) expect(shown(name).equals(FILES[name] as Buffer)).toBe(true);
    expect(await pool.listImages()).toEqual([image]);
  });

  it('mends the rest where the repository lacks one object', async () => {
    const lost = fsverityDigest(FILES['file-5'] as Buffer);
    const path = join(site.repository.directory, `objects/${lost.slice(0, 2)}/${lost.slice(2)}.zst`);
    const stored = readFileSync(path);
    rmSync(path);
    try {
      flip(objectOf('file-4'), 100);
      truncateSync(objectOf('file-5'), 10);
      const { status, stderr } = await osupd('fsck', '--repair');
      expect(status).toBe(10);
      expect(stderr).toContain(`${lost.slice(0, 12)} stays damaged`);
      expect(readFileSync(objectOf('file-4')).equals(FILES['file-4'] as Buffer)).toBe(true);
    } finally {
      mkdirSync(join(path, '..'), { recursive: true });
      const fd = openSync(path, 'w');
      writeSync(fd, stored);
      closeSync(fd);
    }
    expect((await osupd('fsck', '--repair')).status).toBe(0);
  });

  it('a switch to a deployment with a changed object is refused, and after the repair it is done', async () => {
    unmountStack(join(root, 'mnt/system'), { lazy: true });
    flip(objectOf('file-6'), 100);
    rmSync(join(root, 'current/system'));
    expect((await osupd('pull')).status).toBe(0);
    expect(await osupd('switch', '--verify')).toMatchObject({
      status: 10,
      stderr: expect.stringContaining('fsck --repair'),
    });
    expect((await osupd('status')).stdout).toContain('Damaged: 1 of 12 objects');
    expect((await osupd('fsck', '--repair')).status).toBe(0);
    expect((await osupd('switch')).status).toBe(0);
    expect(shown('file-6').equals(FILES['file-6'] as Buffer)).toBe(true);
  });
});
