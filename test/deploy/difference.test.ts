import { describe, expect, it } from 'vitest';
import { makeCurrent } from '../../src/deploy/links.ts';
import { TestDevice } from '../helpers/device.ts';
import { jsonOf, runCommand } from '../helpers/run-command.ts';
import { longText } from '../helpers/stack.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();

const OS_1 = {
  'etc/conf': 'one',
  'usr/bin/gone': longText('gone'),
  'usr/bin/program': longText('program 1'),
  'usr/lib/same': longText('same'),
};
const OS_2 = {
  'etc/conf': { content: 'one', mode: 0o600 },
  'usr/bin/new': longText('new', 5000),
  'usr/bin/program': longText('program 2', 10_000),
  'usr/lib/same': longText('same'),
};

async function deviceWithTwo(): Promise<TestDevice> {
  const device = await TestDevice.create(directory);
  const { id } = await device.deploy([device.image('os', '1', OS_1)]);
  await makeCurrent(device.root, 'system', id, () => {});
  await device.deploy([device.image('os', '2', OS_2)]);
  return device;
}

describe('osupd diff', () => {
  it('lists what the next deployment changes', async () => {
    const device = await deviceWithTwo();
    const { stdout } = await runCommand(['diff', '--root', device.directory]);
    expect(stdout).toBe('M /etc/conf\nD /usr/bin/gone\nA /usr/bin/new\nM /usr/bin/program\n');
  });

  it('counts files and the objects that come and go', async () => {
    const device = await deviceWithTwo();
    const { stdout } = await runCommand(['diff', '--root', device.directory, '--stat']);
    expect(stdout.split('\n').slice(1)).toEqual([
      '       added: 1 (5.0 kB)',
      '    modified: 2 (10.0 kB)',
      '     deleted: 1 (9.0 kB)',
      ' new objects: 2 (15.0 kB)',
      ' old objects: 2 (18.0 kB)',
      '',
    ]);
  });

  it('says as JSON what of each file changed', async () => {
    const device = await deviceWithTwo();
    expect(await jsonOf(['diff', '--root', device.directory])).toEqual({
      schema: 'osupd-diff/1',
      from: expect.stringMatching(/^1-/),
      to: expect.stringMatching(/^2-/),
      totals: {
        added: { count: 1, bytes: 5000 },
        removed: { count: 1, bytes: 9000 },
        changed: { count: 2, bytes: 10_003 },
        newObjects: { count: 2, bytes: 15_000 },
        oldObjects: { count: 2, bytes: 18_000 },
      },
      differences: [
        { kind: 'changed', path: '/etc/conf', fields: ['mode'] },
        { kind: 'removed', path: '/usr/bin/gone' },
        { kind: 'added', path: '/usr/bin/new' },
        { kind: 'changed', path: '/usr/bin/program', fields: ['size', 'content'] },
      ],
    });
  });

  it('compares any two deployments, in either direction', async () => {
    const device = await deviceWithTwo();
    const { stdout } = await runCommand(['diff', '2', '1', '--root', device.directory]);
    expect(stdout).toBe('M /etc/conf\nA /usr/bin/gone\nD /usr/bin/new\nM /usr/bin/program\n');
    const toCurrent = await runCommand(['diff', 'next', '--root', device.directory]);
    expect(toCurrent.stdout).toBe(stdout);
  });

  it('lists everything when nothing was current yet', async () => {
    const device = await TestDevice.create(directory);
    await device.deploy([device.image('os', '1', { 'etc/conf': 'x' })]);
    const { stdout } = await runCommand(['diff', '--root', device.directory]);
    expect(stdout).toBe('A /etc\nA /etc/conf\n');
  });

  it('compares what stacks of several images show together', async () => {
    const device = await TestDevice.create(directory);
    const os = device.image('os', '1', OS_1);
    const { id } = await device.deploy([
      device.image('app', '1', { 'usr/bin/app': 'a', 'etc/conf': 'of the app' }),
      os,
    ]);
    await makeCurrent(device.root, 'system', id, () => {});
    await device.deploy([device.image('app', '2', { 'usr/bin/app': 'b' }), os]);
    const { stdout } = await runCommand(['diff', '--root', device.directory]);
    expect(stdout).toBe('M /etc/conf\nM /usr/bin/app\n');
  });

  it('has nothing to do when nothing is next', async () => {
    const device = await TestDevice.create(directory);
    const { id } = await device.deploy([device.image('os', '1', OS_1)]);
    await makeCurrent(device.root, 'system', id, () => {});
    expect((await runCommand(['diff', '--root', device.directory])).status).toBe(3);
    expect((await runCommand(['diff', 'current', 'current', '--root', device.directory])).stdout).toBe('');
    expect((await runCommand(['diff', 'rollback', '--root', device.directory])).status).toBe(5);
  });
});
