import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfiguration } from '../../../src/deploy/configuration.ts';
import { listDeployments } from '../../../src/deploy/deployment.ts';
import { checkDevice } from '../../../src/deploy/integrity/check-device.ts';
import { mendDevice } from '../../../src/deploy/integrity/mend-device.ts';
import { makeCurrent, readLinks } from '../../../src/deploy/links.ts';
import { TestDevice } from '../../helpers/device.ts';
import { runCommand } from '../../helpers/run-command.ts';
import { temporaryDirectory } from '../../helpers/temporary.ts';

const directory = temporaryDirectory();

async function deviceWith(versions: number): Promise<{ device: TestDevice; ids: string[] }> {
  const device = await TestDevice.create(directory);
  const ids: string[] = [];
  for (let version = 1; version <= versions; version++) {
    const { id } = await device.deploy([device.image('os', `${version}`, { 'etc/version': `${version}` })]);
    await makeCurrent(device.root, 'system', id, () => {});
    ids.push(id);
  }
  return { device, ids };
}

const problems = ({ root }: TestDevice) => [...checkDevice(root, true)].map(({ type, path }) => `${type} ${path}`);

function mend({ root, directory: place }: TestDevice): Promise<void> {
  return mendDevice(root, readConfiguration({ root: place }), [...checkDevice(root, true)]);
}

describe('a check of a device', () => {
  it('finds nothing where all is as it should be', async () => {
    const { device } = await deviceWith(2);
    expect(problems(device)).toEqual([]);
  });

  it('finds what a crash or a removed deployment left, and a repair removes it', async () => {
    const { device, ids } = await deviceWith(1);
    const { directory: root } = device;
    const gone = `9-${'0'.repeat(12)}`;
    for (const path of [
      'pins/system',
      `etc/system/${gone}/upper`,
      'failed/system',
      'staging/deployment',
      'staging/downloads',
    ])
      mkdirSync(join(root, path), { recursive: true });
    symlinkSync(`../deployments/system/${gone}`, join(root, 'next/system'));
    symlinkSync(`../deployments/system/${ids[0]}`, join(root, 'rollback/system.prepared'));
    symlinkSync(`../../deployments/system/${gone}`, join(root, 'pins/system', gone));
    writeFileSync(join(root, 'failed/system', gone), 'torn');
    writeFileSync(join(root, 'current/.system.1-0-1.tmp'), '');
    mkdirSync(join(root, 'deployments/system/.2-ab.1-0-1.tmp'));
    expect(problems(device).sort()).toEqual([
      `leftover current/.system.1-0-1.tmp`,
      `leftover deployments/system/.2-ab.1-0-1.tmp`,
      `leftover etc/system/${gone}`,
      `leftover failed/system/${gone}`,
      `leftover next/system`,
      `leftover pins/system/${gone}`,
      `leftover rollback/system.prepared`,
      `leftover staging/deployment`,
      `leftover staging/downloads`,
    ]);
    // No damage: the device works with all of it.
    expect((await runCommand(['fsck', '--root', root])).status).toBe(0);
    await mend(device);
    expect(problems(device)).toEqual([]);
    expect(readLinks(device.root, 'system')).toEqual({ current: ids[0] });
  });

  it('does not take the work of another osupd for a leftover', async () => {
    const { device } = await deviceWith(1);
    mkdirSync(join(device.directory, 'staging/deployment'));
    using _lock = device.root.lock();
    const { status, stdout } = await runCommand(['fsck', '--root', device.directory]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.not.stringContaining('leftover') });
  });

  it('keeps the record of a deployment that failed', async () => {
    const { device } = await deviceWith(1);
    const record = join(device.directory, 'failed/system', `9-${'0'.repeat(12)}`);
    mkdirSync(join(record, '..'), { recursive: true });
    writeFileSync(record, JSON.stringify({ schema: 'osupd-failed/1', images: [] }));
    expect(problems(device)).toEqual([]);
  });

  for (const broken of [['stack'], ['deployment.json'], ['arguments'], ['stack', 'arguments']]) {
    it(`writes a deployment again whose ${broken.join(' and ')} is damaged or missing`, async () => {
      for (const damage of [(path: string) => writeFileSync(path, 'torn'), (path: string) => rmSync(path)]) {
        const { device, ids } = await deviceWith(2);
        const before = listDeployments(device.root, 'system');
        const place = device.root.deploymentDirectory('system', ids[1] ?? '');
        const stack = readFileSync(join(place, 'stack'), 'utf8');
        for (const name of broken) damage(join(place, name));
        expect(problems(device)).toEqual([`damaged-deployment deployments/system/${ids[1]}`]);
        await mend(device);
        expect(problems(device)).toEqual([]);
        // The kernel's command line vouches for this file.
        expect(readFileSync(join(place, 'stack'), 'utf8')).toBe(stack);
        const after = listDeployments(device.root, 'system');
        expect(after.map(({ id, images }) => ({ id, images }))).toEqual(
          before.map(({ id, images }) => ({ id, images })),
        );
        if (!broken.includes('deployment.json')) expect(after).toEqual(before);
      }
    });
  }

  it('says what to do about a deployment that is lost', async () => {
    const { device, ids } = await deviceWith(2);
    const place = device.root.deploymentDirectory('system', ids[0] ?? '');
    for (const name of ['stack', 'deployment.json']) writeFileSync(join(place, name), 'torn');
    await mend(device);
    const { status, stdout } = await runCommand(['fsck', '--root', device.directory]);
    expect(status).toBe(10);
    expect(stdout).toContain(`damaged-deployment  deployments/system/${ids[0]}`);
    expect(stdout).toContain('"osupd undeploy" it, then "osupd pull"');
  });
});
