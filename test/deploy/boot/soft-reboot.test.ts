import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { sha256Of } from '../../../src/core/sha256.ts';
import { prepareSoftReboot, runningCommandLine } from '../../../src/deploy/boot/soft-reboot.ts';
import { detachMount } from '../../../src/sys/mount.ts';
import { mountsAt, readMounts } from '../../../src/sys/mountinfo.ts';
import { TestDevice } from '../../helpers/device.ts';
import { enterMountNamespace } from '../../helpers/mount-namespace.ts';
import { describeWith } from '../../helpers/requirements.ts';
import { longText } from '../../helpers/stack.ts';
import { temporaryDirectory } from '../../helpers/temporary.ts';

describeWith(['root', 'mount'], 'the mounts of a soft reboot, made by the script of the initramfs', () => {
  const directory = temporaryDirectory();
  const state = join(directory, 'state');
  const root = join(state, 'var/lib/osupd');
  const nextRoot = join(directory, 'nextroot');
  const commandLineFile = join(directory, 'cmdline');
  let stackWord = '';
  let id = '';
  let image = '';
  const prepare = (...words: string[]) =>
    prepareSoftReboot({ arguments: [stackWord, ...words], state, nextRoot, commandLineFile });
  const read = (path: string) => readFileSync(join(nextRoot, path), 'utf8');

  beforeAll(async () => {
    enterMountNamespace();
    const device = await TestDevice.create(directory);
    const folders = Object.fromEntries(
      ['var', 'home', 'tmp', 'sysroot', 'srv'].map((name) => [name, { type: 'directory' as const }]),
    );
    const application = device.image('application', '1', { 'etc/both': longText('from the application') });
    const system = device.image('system', '1', {
      ...folders,
      root: { type: 'symlink', content: 'home' },
      'sbin/init': { type: 'symlink', content: '/usr/init' },
      'usr/init': longText('init'),
      'etc/both': longText('from the system'),
      'etc/system': longText('default'),
    });
    image = `images/${system.digest}`;
    ({ id } = await device.deploy([application, system]));
    const text = readFileSync(join(device.directory, `deployments/system/${id}/stack`));
    stackWord = `osupd.stack=system/${id}:${sha256Of(text)}`;
    mkdirSync(join(state, 'var/lib'), { recursive: true });
    renameSync(device.directory, root);
    mkdirSync(join(root, 'etc/system', id, 'upper'), { recursive: true });
    mkdirSync(nextRoot);
  });

  afterEach(() => {
    for (const _mount of mountsAt(nextRoot)) detachMount(nextRoot);
  });

  it('shows the stack with an /etc, a /var and homes that can be written, and the state file system', async () => {
    await prepare();
    await prepare();
    expect(mountsAt(nextRoot)).toHaveLength(1);
    expect(read('etc/both')).toBe(longText('from the application'));
    writeFileSync(join(nextRoot, 'etc/system'), 'changed');
    expect(readFileSync(join(root, 'etc/system', id, 'upper/system'), 'utf8')).toBe('changed');
    writeFileSync(join(nextRoot, 'var/file'), 'kept');
    writeFileSync(join(nextRoot, 'home/file'), 'kept');
    expect(readFileSync(join(state, 'var/file'), 'utf8')).toBe('kept');
    expect(readFileSync(join(nextRoot, 'sysroot/home/file'), 'utf8')).toBe('kept');
    expect(() => writeFileSync(join(nextRoot, 'usr/file'), '')).toThrow(/EROFS/);
    expect(statSync(join(nextRoot, 'tmp')).mode & 0o7777).toBe(0o1777);
    // A link of the image stays what it is.
    expect(readMounts().filter(({ mountpoint }) => mountpoint === join(nextRoot, 'root'))).toHaveLength(0);
  });

  it('keeps nothing of a volatile /etc', async () => {
    await prepare('osupd.etc=volatile', 'osupd.writable=/srv');
    writeFileSync(join(nextRoot, 'etc/volatile'), 'gone soon');
    expect(() => writeFileSync(join(nextRoot, 'home/file'), '')).toThrow(/EROFS/);
    detachMount(nextRoot);
    await prepare();
    expect(existsSync(join(nextRoot, 'etc/volatile'))).toBe(false);
    expect(execFileSync('sh', ['-c', 'ls -d /run/osupd-* 2>/dev/null || :'], { encoding: 'utf8' })).toBe('');
  });

  it('says in its error what the script says, and leaves nothing mounted', async () => {
    await expect(prepare('osupd.verity=require')).rejects.toThrow(
      /^the deployment cannot be mounted: osupd: an image: .*: has no fs-verity, which osupd.verity=require asks for$/,
    );
    expect(mountsAt(nextRoot)).toHaveLength(0);
    const bytes = readFileSync(join(root, image));
    writeFileSync(join(root, image), Buffer.concat([bytes.subarray(0, -1), Buffer.of((bytes.at(-1) ?? 0) ^ 1)]));
    await expect(prepare()).rejects.toMatchObject({
      code: 'damaged-store',
      message: expect.stringMatching(/damaged: its digest/),
    });
    writeFileSync(join(root, image), bytes);
    rmSync(join(root, 'etc'), { recursive: true });
    await expect(prepare()).rejects.toThrow(/upper: missing; osupd switch makes it/);
    mkdirSync(join(root, 'etc/system', id, 'upper'), { recursive: true });
    expect(readMounts().filter(({ mountpoint }) => mountpoint.startsWith(nextRoot))).toEqual([]);
  });

  it('is what runs when the deployment that was prepared is the root', async () => {
    await prepare('quiet');
    expect(runningCommandLine(nextRoot, commandLineFile)).toBe(`${stackWord} quiet\n`);
    detachMount(nextRoot);
    expect(runningCommandLine(nextRoot, commandLineFile)).toBe(readFileSync('/proc/cmdline', 'utf8'));
  });
});
