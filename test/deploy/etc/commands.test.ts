/** `osupd diff --etc` and `osupd merge-etc` on a device whose next deployment is prepared. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { EtcDirectory } from '../../../src/deploy/etc/etc-directory.ts';
import { sideOf } from '../../../src/deploy/etc/merge-again.ts';
import { prepareEtc } from '../../../src/deploy/etc/prepare-etc.ts';
import { makeCurrent } from '../../../src/deploy/links.ts';
import { TestDevice } from '../../helpers/device.ts';
import { describeWith } from '../../helpers/requirements.ts';
import { longText } from '../../helpers/stack.ts';
import { temporaryDirectory } from '../../helpers/temporary.ts';

const PROGRAM = resolve(import.meta.dirname, '../../helpers/osupd-from-source.ts');
const directory = temporaryDirectory();
/** Longer than what an image keeps in itself, so that it is read from the pool. */
const text = (first: string, last: string) => `${first}\n${longText('', 80)}\n${longText('x', 80)}\n${last}\n`;

describeWith(['root'], 'the commands for /etc', () => {
  let device: TestDevice;
  let upper: string;
  let next: EtcDirectory;
  let booted = '';
  beforeEach(async () => {
    device = await TestDevice.create(directory, '[stack.system]\nmountpoint = "/"');
    const image = (version: string, last: string) =>
      device.image('os', version, { 'etc/motd': version, 'etc/config': text('first', last), 'etc/other': 'other' });
    const one = await device.deploy([image('1', 'last')]);
    await makeCurrent(device.root, 'system', one.id, () => {});
    const two = await device.deploy([image('2', 'changed')]);
    booted = `osupd.stack=system/${one.id}:${'0'.repeat(64)}`;
    upper = new EtcDirectory(device.root, 'system', one.id).upper;
    next = new EtcDirectory(device.root, 'system', two.id);
    mkdirSync(upper, { recursive: true });
    writeFileSync(join(upper, 'config'), text('mine', 'last'));
    const [from, to] = [await sideOf(device.root, 'system', one.id), await sideOf(device.root, 'system', two.id)];
    const openObject = device.root.pool.openObject.bind(device.root.pool);
    await prepareEtc({ device: device.root, stack: 'system', from, to, policy: 'merge', openObject });
  });

  const osupd = (...args: string[]) => {
    const all = [PROGRAM, ...args, '--root', device.directory];
    const environment = { ...process.env, SYSTEMD_PROC_CMDLINE: `quiet ${booted} ro` };
    const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8', env: environment });
    return { status, stdout, stderr };
  };

  it('diff --etc lists local changes, and first what becomes of them', () => {
    writeFileSync(join(upper, 'motd'), 'mine');
    const { stdout, stderr } = osupd('diff', '--etc');
    expect(stderr).toBe('');
    const id = /with (\S+), which is next:/.exec(stdout)?.[1];
    expect(stdout.split('\n')).toEqual([
      `with ${id}, which is next:`,
      '  conflicts in /etc (the local version stays): 1',
      '    /etc/motd: changed here and by the new default',
      `      new default: ${next.defaults}/motd`,
      '  merged in /etc: 1',
      '    /etc/config: content',
      '  local changes in /etc that stay: 0',
      expect.stringMatching(/^local changes of 1-/),
      'M /etc/config (content)',
      'M /etc/motd (content)',
      '',
    ]);
    const plain = JSON.parse(osupd('diff', '--etc', 'system', '--json').stdout);
    expect(plain).toMatchObject({
      schema: 'osupd-etc-diff/1',
      stack: 'system',
      changes: [{ path: '/etc/config', kind: 'changed', fields: ['content'] }, { path: '/etc/motd' }],
      next: { schema: 'osupd-etc/1', policy: 'merge', conflicts: [{ path: '/etc/motd', reason: 'both-changed' }] },
    });
  });

  it('diff --etc without a next deployment lists local changes alone', () => {
    rmSync(device.root.linkPath('next', 'system'));
    expect(osupd('diff', '--etc').stdout).toBe('M /etc/config (content)\n');
    expect(osupd('diff', '--etc', 'system', 'other')).toMatchObject({ status: 2 });
  });

  it('merge-etc takes along what was changed since, and says what is in conflict now', () => {
    writeFileSync(join(upper, 'motd'), 'mine');
    writeFileSync(join(upper, 'late'), 'late');
    const { status, stdout, stderr } = osupd('merge-etc');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^system: \/etc of 2-\w+ has the local changes up to now\n {2}new conflict: \/etc\/motd: /);
    expect(readFileSync(join(next.upper, 'late'), 'utf8')).toBe('late');
    expect(readFileSync(join(next.upper, 'config'), 'utf8')).toBe(text('mine', 'changed'));
    // What was said once is not new.
    expect(osupd('merge-etc').stdout).not.toContain('new conflict');
  });

  it('merge-etc leaves a deployment alone that was booted, or prepared from another one', () => {
    writeFileSync(join(upper, 'late'), 'late');
    mkdirSync(join(next.path, 'work/work'));
    expect(osupd('merge-etc')).toEqual({ status: 0, stdout: '', stderr: '' });
    rmSync(join(next.path, 'work/work'), { recursive: true });
    booted = '';
    expect(osupd('merge-etc')).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});
