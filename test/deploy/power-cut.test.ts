/** I4 on a real disk: the power is cut before each change of a transition, and what was not synced is lost. */
import { cpSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { readDeployment } from '../../src/deploy/deployment.ts';
import { type DeployedImage, type Deployment, deploymentId } from '../../src/deploy/deployment-files.ts';
import { DeviceRoot } from '../../src/deploy/device.ts';
import { makeCurrent, readLinks, type StackLinks } from '../../src/deploy/links.ts';
import { syncFileSystem } from '../../src/sys/durable.ts';
import { CrashDisk } from '../helpers/crash-disk.ts';
import { ORIGIN, TestDevice } from '../helpers/device.ts';
import { CHANGING_CALLS, killBefore } from '../helpers/kill.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();
const module = (name: string) => JSON.stringify(resolve(import.meta.dirname, '../../src/deploy', name));

/** What runs in the process that is killed. */
const DEPLOY = `deployImages(device, 'system', argument.images, argument.origin, '2030-01-01T01:00:00Z')`;
const SWITCH = `makeCurrent(device, 'system', argument.id, () => {})`;

function program(statement: string): string {
  return `
    import { DeviceRoot } from ${module('device.ts')};
    import { deployImages } from ${module('deployment.ts')};
    import { makeCurrent } from ${module('links.ts')};
    const device = await DeviceRoot.open(process.argv[1]);
    const argument = JSON.parse(process.argv[2]);
    await ${statement};`;
}

/** Version 1 is the rollback, version 2 the current one, version 3 the next; version 4 is in the pool. */
async function prepare(): Promise<{ device: TestDevice; next: Deployment; newest: DeployedImage }> {
  const device = await TestDevice.create(directory);
  const image = (version: string) => device.image('os', version, { 'etc/version': version });
  for (const version of ['1', '2'])
    await makeCurrent(device.root, 'system', (await device.deploy([image(version)])).id, () => {});
  return { device, next: await device.deploy([image('3')]), newest: image('4') };
}

/** What the links mean; every deployment they name must be whole. */
async function meaning(root: string): Promise<StackLinks> {
  const device = await DeviceRoot.open(root);
  const links = readLinks(device, 'system');
  for (const id of Object.values(links)) readDeployment(device, 'system', id);
  return links;
}

/** Runs a transition on a disk of its own, cuts the power before one change or after the end, and reads what is left. */
async function cutBefore(
  disk: CrashDisk,
  [call, count]: readonly [call: string, count: number],
  transition: Transition,
  skipped: readonly string[] = [],
): Promise<{ killed: boolean; left: StackLinks }> {
  const root = join(disk.directory, 'root');
  rmSync(root, { recursive: true, force: true });
  cpSync(transition.original, root, { recursive: true, verbatimSymlinks: true });
  syncFileSystem(root);
  const args = [root, JSON.stringify(transition.argument)];
  const killed = killBefore(call, count, program(transition.statement), args, skipped);
  disk.crash();
  return { killed, left: await meaning(root) };
}

interface Transition {
  readonly statement: string;
  /** The root before it. */
  readonly original: string;
  readonly argument: object;
}

/** Cuts the power before each change in turn, and after the last. Gives what the links mean then, each time. */
async function cutEverywhere(transition: Transition): Promise<StackLinks[]> {
  using disk = new CrashDisk(directory);
  const found: StackLinks[] = [];
  for (const call of CHANGING_CALLS) {
    for (let count = 1, again = true; again; count++) {
      const { killed, left } = await cutBefore(disk, [call, count], transition);
      found.push(left);
      again = killed;
    }
  }
  return found;
}

describeWith(['root', 'strace', 'mkfs.ext4'], 'a transition on a disk that loses what was not synced', () => {
  beforeAll(() => enterMountNamespace());

  it('a switch: before or after, and done when it says so', async () => {
    const { device, next } = await prepare();
    const before = await meaning(device.directory);
    const after = { current: next.id, rollback: before.current };
    const found = await cutEverywhere({ statement: SWITCH, original: device.directory, argument: { id: next.id } });
    for (const links of found) expect([before, after]).toContainEqual(links);
    expect(found.length).toBeGreaterThan(8);
    // The last one of each kind of call was not cut, but lost its power right after the end.
    expect(found.at(-1)).toEqual(after);
  });

  it('a deployment: before or after, and done when it says so', async () => {
    const { device, newest } = await prepare();
    const before = await meaning(device.directory);
    const after = { ...before, next: deploymentId(4, [newest]) };
    const found = await cutEverywhere(deployment(device, newest));
    for (const links of found) expect([before, after]).toContainEqual(links);
    expect(found.length).toBeGreaterThan(8);
    expect(found.at(-1)).toEqual(after);
  });

  it('this disk does lose what was not synced', async () => {
    const { device, newest } = await prepare();
    using disk = new CrashDisk(directory);
    const { killed, left } = await cutBefore(disk, ['symlink', 99], deployment(device, newest), ['fsync']);
    expect(killed).toBe(false);
    expect(left).toEqual(await meaning(device.directory));
  });
});

function deployment(device: TestDevice, image: DeployedImage): Transition {
  return { statement: DEPLOY, original: device.directory, argument: { images: [image], origin: ORIGIN } };
}
