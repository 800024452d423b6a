/** I3 and I4: whatever a transition is cut by, and whenever, the links mean what they meant before or what they mean after. */
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { deployImages, listDeploymentIds, readDeployment, removeDeployment } from '../../src/deploy/deployment.ts';
import type { DeployedImage } from '../../src/deploy/deployment-files.ts';
import { DeviceRoot } from '../../src/deploy/device.ts';
import { makeCurrent, readLinks, recoverLinks } from '../../src/deploy/links.ts';
import { at, fakeImage, newDevice, ORIGIN } from '../helpers/device.ts';
import { cutAt } from '../helpers/power-cut.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

vi.mock('node:fs', async (original) => (await import('../helpers/power-cut.ts')).cuttable(await original()));
vi.mock('node:fs/promises', async (original) => (await import('../helpers/power-cut.ts')).cuttable(await original()));

const directory = temporaryDirectory();
const STACK = 'system';
const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
let counter = 0;

/** What a device does to its links. `fails` lets the mounting fail. */
type Step =
  | { readonly kind: 'deploy'; readonly version: number }
  | { readonly kind: 'switch'; readonly fails: boolean }
  | { readonly kind: 'rollback'; readonly fails: boolean }
  | { readonly kind: 'remove'; readonly index: number };

async function perform(device: DeviceRoot, images: readonly DeployedImage[], step: Step): Promise<void> {
  const links = recoverLinks(device, STACK);
  const show = (fails: boolean) => () => {
    if (fails) throw new RefusedMount();
  };
  try {
    if (step.kind === 'deploy') {
      await deployImages(device, STACK, [images[step.version] as DeployedImage], ORIGIN, at(step.version));
    } else if (step.kind === 'switch') {
      if (links.next !== undefined) await makeCurrent(device, STACK, links.next, show(step.fails));
    } else if (step.kind === 'rollback') {
      if (links.rollback !== undefined) await makeCurrent(device, STACK, links.rollback, show(step.fails));
    } else {
      const ids = listDeploymentIds(device, STACK).filter((id) => id !== links.current);
      const id = ids[step.index % Math.max(1, ids.length)];
      if (id !== undefined) removeDeployment(device, STACK, id);
    }
  } catch (error) {
    if (!(error instanceof RefusedMount)) throw error;
  }
}

class RefusedMount extends Error {}

/** What a stack's links mean; every deployment they name must be whole. */
function meaning(device: DeviceRoot): string {
  const links = readLinks(device, STACK);
  for (const id of Object.values(links)) readDeployment(device, STACK, id);
  return JSON.stringify(links);
}

async function copyOf(device: DeviceRoot): Promise<DeviceRoot> {
  const copy = join(directory, `copy-${++counter}`);
  cpSync(device.directory, copy, { recursive: true, verbatimSymlinks: true });
  return DeviceRoot.open(copy);
}

/** Cuts a step at every change it makes, and the repair of each cut at every change in turn. */
async function breakStep(device: DeviceRoot, images: readonly DeployedImage[], step: Step): Promise<void> {
  const outcome = async (performed: Step) => {
    const whole = await copyOf(device);
    await perform(whole, images, performed);
    return meaning(whole);
  };
  // One that fails to mount goes back. Cut on the way back, it counts as done: the next command tries to mount it again.
  const allowed = [meaning(device), await outcome(step)];
  if ('fails' in step) allowed.push(await outcome({ ...step, fails: false }));
  for (let cut = 0; ; cut++) {
    const broken = await copyOf(device);
    if (!(await cutAt(cut, () => perform(broken, images, step)))) return;
    const left = meaning(broken);
    expect(allowed, `${JSON.stringify(step)} cut before change ${cut}`).toContain(left);
    for (let second = 0; ; second++) {
      const again = await copyOf(broken);
      const cutAgain = await cutAt(second, () => recoverLinks(again, STACK));
      expect(meaning(again), `and its repair before change ${second}`).toBe(left);
      if (!cutAgain) break;
    }
    recoverLinks(broken, STACK);
    expect(readdirSync(join(broken.directory, 'rollback')).filter((name) => !name.startsWith('.'))).toEqual(
      readLinks(broken, STACK).rollback === undefined ? [] : [STACK],
    );
    // Whatever was left, the device goes on: the same step again ends where it would have ended, or changes nothing more.
    await perform(broken, images, step);
    meaning(broken);
    await deployImages(broken, STACK, [images[0] as DeployedImage], ORIGIN, at(9));
    meaning(broken);
  }
}

async function deviceWithImages(): Promise<{ device: DeviceRoot; images: DeployedImage[] }> {
  const device = await newDevice(directory);
  const images = [];
  for (const version of ['1', '2', '3']) images.push(await fakeImage(device, 'os', version));
  return { device, images };
}

const arbitraryStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('deploy' as const), version: fc.integer({ min: 0, max: 2 }) }),
  fc.record({ kind: fc.constant('switch' as const), fails: fc.boolean() }),
  fc.record({ kind: fc.constant('rollback' as const), fails: fc.boolean() }),
  fc.record({ kind: fc.constant('remove' as const), index: fc.integer({ min: 0, max: 3 }) }),
);

describe('a transition that is cut', () => {
  const deploy = (version: number): Step => ({ kind: 'deploy', version });
  const change: Step = { kind: 'switch', fails: false };
  const back: Step = { kind: 'rollback', fails: false };
  it.each<[string, Step[], Step]>([
    ['the first deployment', [], deploy(0)],
    ['the first switch', [deploy(0)], change],
    ['the first switch, which fails', [deploy(0)], { kind: 'switch', fails: true }],
    ['a second deployment', [deploy(0), change], deploy(1)],
    ['a switch', [deploy(0), change, deploy(1)], change],
    ['a switch that fails', [deploy(0), change, deploy(1)], { kind: 'switch', fails: true }],
    ['a third switch', [deploy(0), change, deploy(1), change, deploy(2)], change],
    ['a rollback', [deploy(0), change, deploy(1), change], back],
    ['a rollback that fails', [deploy(0), change, deploy(1), change], { kind: 'rollback', fails: true }],
    ['a rollback with another one waiting', [deploy(0), change, deploy(1), change, deploy(2)], back],
    ['a deployment taken back', [deploy(0), change, deploy(1)], deploy(0)],
    ['a removal', [deploy(0), change, deploy(1)], { kind: 'remove', index: 0 }],
  ])('%s: before or after, and repaired by itself', async (_, history, step) => {
    const { device, images } = await deviceWithImages();
    for (const each of history) await perform(device, images, each);
    await breakStep(device, images, step);
  });

  it('anything, after any history', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(arbitraryStep, { maxLength: 8 }), arbitraryStep, async (history, step) => {
        const { device, images } = await deviceWithImages();
        for (const each of history) await perform(device, images, each);
        await breakStep(device, images, step);
      }),
      { numRuns: 15 * SCALE },
    );
  });
});

describe('links', () => {
  it('a second rollback returns', async () => {
    const { device, images } = await deviceWithImages();
    for (const version of [0, 1]) {
      await perform(device, images, { kind: 'deploy', version });
      await perform(device, images, { kind: 'switch', fails: false });
    }
    const before = readLinks(device, STACK);
    await perform(device, images, { kind: 'rollback', fails: false });
    expect(readLinks(device, STACK)).toEqual({ current: before.rollback, rollback: before.current });
    await perform(device, images, { kind: 'rollback', fails: false });
    expect(readLinks(device, STACK)).toEqual(before);
  });

  it('no file of a deployment is ever written again', async () => {
    const { device, images } = await deviceWithImages();
    const seen = new Map<string, string>();
    const steps = fc.sample(arbitraryStep, 40).filter(({ kind }) => kind !== 'remove');
    for (const step of steps) {
      await perform(device, images, step);
      for (const id of listDeploymentIds(device, STACK)) {
        const place = device.deploymentDirectory(STACK, id);
        const contents = readdirSync(place)
          .sort()
          .map((name) => readFileSync(join(place, name), 'utf8'))
          .join('\0');
        expect(seen.get(id) ?? contents).toBe(contents);
        seen.set(id, contents);
      }
    }
    expect(seen.size).toBe(
      new Set(steps.filter(({ kind }) => kind === 'deploy').map((step) => JSON.stringify(step))).size,
    );
  });
});
