import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { attachedStack } from '../../src/deploy/live.ts';
import { mountsAt } from '../../src/sys/mountinfo.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { describeWith } from '../helpers/requirements.ts';
import { longText, TestPool } from '../helpers/stack.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const SCRIPT = resolve(import.meta.dirname, '../../systemd/osupd-mount');

describeWith(['root', 'mount'], 'osupd-mount', () => {
  const directory = temporaryDirectory();
  const root = join(directory, "a root: with, odd 'names'");
  const mountpoint = join(directory, 'mounted');
  const mountIt = (...args: string[]) => spawnSync(SCRIPT, args, { encoding: 'utf8' });

  beforeAll(() => {
    enterMountNamespace();
    const pool = new TestPool(directory);
    const app = pool.addImage({ 'opt/app': longText('app'), 'etc/shared': longText('from the application') });
    const os = pool.addImage({ 'usr/bin/tool': longText('tool'), 'etc/shared': longText('from the system') });
    renameSync(pool.directory, root);
    const deployment = join(root, 'deployments/kiosk/1-0123456789ab');
    mkdirSync(deployment, { recursive: true });
    mkdirSync(join(root, 'current'));
    symlinkSync('../deployments/kiosk/1-0123456789ab', join(root, 'current/kiosk'));
    writeFileSync(
      join(deployment, 'stack'),
      `osupd-stack 1\nlater words are left out\nimage ${basename(app)} kiosk 1\nimage ${basename(os)} os 1\n`,
    );
  });

  it('mounts the current deployment of a stack with mount(8) alone, as osupd would, and only once', () => {
    expect(mountIt(root, 'kiosk', mountpoint)).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(join(mountpoint, 'opt/app'), 'utf8')).toBe(longText('app'));
    expect(readFileSync(join(mountpoint, 'usr/bin/tool'), 'utf8')).toBe(longText('tool'));
    expect(readFileSync(join(mountpoint, 'etc/shared'), 'utf8')).toBe(longText('from the application'));
    expect(attachedStack(mountpoint)).toEqual({ identity: { stack: 'kiosk', deployment: '1-0123456789ab' } });
    expect(mountIt(root, 'kiosk', mountpoint).status).toBe(0);
    expect(mountsAt(mountpoint)).toHaveLength(1);
    // The images themselves are mounted nowhere any more.
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toMatch(/ - erofs /);
    execFileSync('umount', [mountpoint]);
  });

  it('says in one line what is missing, and leaves nothing mounted', () => {
    const noStack = mountIt(root, 'other', mountpoint);
    expect(noStack.status).toBe(1);
    expect(noStack.stderr).toMatch(/^osupd: the current deployment: .*\/current\/other: there is none; .*\n$/);
    const broken = join(directory, 'broken');
    mkdirSync(join(broken, 'current/kiosk'), { recursive: true });
    symlinkSync('kiosk', join(broken, 'current/link'));
    writeFileSync(join(broken, 'current/kiosk/stack'), 'osupd-stack 2\n');
    expect(mountIt(broken, 'link', mountpoint).stderr).toMatch(/not a stack file of version 1\n$/);
    expect(mountsAt(mountpoint)).toHaveLength(0);
  });
});
