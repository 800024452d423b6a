/** The power is cut before each step of what is done to a boot partition, on a FAT: the old deployment boots whole, or the new one. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { noProgress } from '../../../src/core/progress.ts';
import { markBad, markGood, settleBoot } from '../../../src/deploy/boot/mark-boot.ts';
import { rollbackAtBoot } from '../../../src/deploy/boot/switch-boot.ts';
import { collectGarbage } from '../../../src/deploy/collect-garbage.ts';
import type { Deployment } from '../../../src/deploy/deployment-files.ts';
import { BootDevice, STACK } from '../../helpers/boot-device.ts';
import { type CutDisk, cutDisks, recordSync } from '../../helpers/fat-model.ts';
import { temporaryDirectory } from '../../helpers/temporary.ts';

vi.mock('node:fs', async (original) => (await import('../../helpers/fat-model.ts')).recorded(await original()));
vi.mock('../../../src/sys/durable.ts', async (original) => {
  const { recordSync } = await import('../../helpers/fat-model.ts');
  const module: typeof import('../../../src/sys/durable.ts') = await original();
  const syncFileSystem = (path: string) => {
    module.syncFileSystem(path);
    recordSync(path);
  };
  return { ...module, syncFileSystem };
});

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
const directory = temporaryDirectory();
const options = { progress: noProgress };

interface Machine {
  readonly boot: BootDevice;
  readonly one: Deployment;
  readonly two: Deployment;
}

/** Version 1 is good and booted, version 2 is next. */
async function machine(loader: string): Promise<Machine> {
  const boot = await BootDevice.create(directory, { boot: `loader = "${loader}"\ntries = 1` });
  const one = await boot.deploy('1');
  await boot.switch();
  boot.run(one);
  await markGood(boot.session());
  return { boot, one, two: await boot.deploy('2') };
}

const OPERATIONS: Record<
  string,
  { prepare: (m: Machine) => Promise<unknown>; run: (m: Machine) => Promise<unknown>; allowed: string[]; after: string }
> = {
  switch: {
    prepare: async () => {},
    run: ({ boot }) => boot.switch(),
    allowed: ['1', '2'],
    after: '2',
  },
  'a switch that takes another one out of the menu': {
    prepare: async ({ boot }) => {
      await boot.switch();
      await boot.deploy('3');
    },
    run: ({ boot }) => boot.switch(),
    allowed: ['1', '2', '3'],
    after: '3',
  },
  'mark-good': {
    prepare: async ({ boot, two }) => {
      await boot.switch();
      boot.run(two);
    },
    run: ({ boot }) => markGood(boot.session()),
    allowed: ['2'],
    after: '2',
  },
  'mark-bad': {
    prepare: async ({ boot, two }) => {
      await boot.switch();
      boot.run(two);
    },
    run: ({ boot }) => markBad(boot.session(), 'bad', options),
    allowed: ['1', '2'],
    after: '1',
  },
  'what did not come up is found out': {
    prepare: async ({ boot }) => {
      const { entry } = await boot.switch();
      const entries = join(boot.partition, 'loader/entries');
      const spent = entry.file.replace('+1.conf', '+0-1.conf');
      renameSync(join(entries, entry.file), join(entries, spent));
      if (boot.session().configuration.boot.loader === 'grub')
        writeFileSync(
          join(boot.partition, 'osupd/grubenv'),
          `# GRUB Environment Block\nosupd_generation=${entry.generation}\nosupd_left=0\n`.padEnd(1024, '#'),
        );
    },
    run: ({ boot }) => settleBoot(boot.session()),
    allowed: ['1'],
    after: '1',
  },
  rollback: {
    prepare: async ({ boot, two }) => {
      await boot.switch();
      boot.run(two);
      await markGood(boot.session());
    },
    run: ({ boot }) => rollbackAtBoot(boot.session(), STACK, undefined, options),
    allowed: ['1', '2'],
    after: '1',
  },
  gc: {
    prepare: async ({ boot, two }) => {
      await boot.switch();
      boot.run(two);
      await markGood(boot.session());
      const three = await boot.deploy('3');
      await boot.switch();
      boot.run(three);
      await markGood(boot.session());
    },
    run: ({ boot }) => {
      const session = boot.session();
      return collectGarbage(session.device, session.configuration, { session, progress: noProgress });
    },
    allowed: ['3'],
    after: '3',
  },
};

/** The version that a kernel and an initrd are of, when both are whole. */
function bootsFrom(disk: CutDisk, kernelPath: string, initrdPath: string): string {
  const version = (path: string, what: string) => {
    const content = disk.read(path.replace(/^\//, ''));
    const [, found] = Buffer.isBuffer(content) ? (/^(\S+ \S+?)\.*$/.exec(content.toString()) ?? []) : [];
    const length = what === 'kernel' ? 20_000 : 30_000;
    return content?.length === length && found?.startsWith(`${what} `) ? found.slice(what.length + 1) : 'broken';
  };
  const [kernel, initrd] = [version(kernelPath, 'kernel'), version(initrdPath, 'initrd')];
  return kernel === initrd ? kernel : `kernel ${kernel}, initrd ${initrd}`;
}

/** What systemd-boot does: all entries that it can read, the one that is first in the order of the specification. */
function systemdBoot(disk: CutDisk): string {
  const entries = disk.list('loader/entries').flatMap((file) => {
    const content = disk.read(`loader/entries/${file}`);
    // What the clusters of a damaged file hold cannot be said: none may have the name of an entry.
    if (content === 'garbage' && file.endsWith('.conf')) throw new Error(`${file} has lost its clusters`);
    const value = (key: string) => new RegExp(`^${key} (.*)$`, 'm').exec(`${content}`)?.[1];
    const linux = value('linux');
    if (!file.endsWith('.conf') || linux === undefined) return [];
    return { spent: file.includes('+0'), version: Number(value('version')), linux, initrd: value('initrd') ?? '' };
  });
  const [first] = entries.sort((a, b) => Number(a.spent) - Number(b.spent) || b.version - a.version);
  return first === undefined ? 'nothing' : bootsFrom(disk, first.linux, first.initrd);
}

/** What GRUB does with osupd/grub.cfg: the first menu if it is not empty, else the second; there its default. */
function grub(disk: CutDisk): string {
  const text = (path: string) => {
    const content = disk.read(path);
    return Buffer.isBuffer(content) ? content.toString() : (content ?? '');
  };
  if (!text('osupd/grub.cfg').includes('menu-0.cfg')) return 'no grub.cfg';
  const menu = text('osupd/menu-0.cfg') || text('osupd/menu-1.cfg');
  const environment = text('osupd/grubenv');
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(environment)?.[1];
  const generation = /osupd_generation" != (\d+)/.exec(menu)?.[1];
  const spent = generation !== undefined && value('osupd_generation') === generation && value('osupd_left') === '0';
  const wanted = spent
    ? /= 0 \]; then set default='([^']*)'/.exec(menu)?.[1]
    : /^set default='([^']*)'$/m.exec(menu)?.[1];
  const [, linux = '', initrd = ''] =
    new RegExp(
      `--id '${wanted}' \\{\\n[^}]*?linux \\(\\$osupd_root\\)(\\S+)[^}]*?initrd \\(\\$osupd_root\\)(\\S+)`,
    ).exec(menu) ?? [];
  return bootsFrom(disk, linux, initrd);
}

/** Numbers from 0 to 1 that are the same in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const LOADERS = { 'systemd-boot': systemdBoot, grub };

for (const [loader, start] of Object.entries(LOADERS)) {
  it.each(Object.entries(OPERATIONS))(`${loader}: %s`, async (_name, { prepare, run, allowed, after }) => {
    const prepared = await machine(loader);
    await prepare(prepared);
    const result = await cutDisks(prepared.boot.partition, () => run(prepared), Math.ceil(60 * SCALE), seeded(7));
    expect(result.steps).toBeGreaterThan(3);
    for (const disk of result.disks) expect(allowed).toContain(start(disk));
    expect(start(result.after)).toBe(after);
  });
}

it('the model finds what is not safe: a rename alone may lose both names, a removal the content of a name', async () => {
  const { boot, two } = await machine('systemd-boot');
  const { entry } = await boot.switch();
  boot.run(two);
  const path = (file: string) => join(boot.partition, 'loader/entries', file);
  const rename = async () => {
    renameSync(path(entry.file), path(entry.file.replace('+1', '')));
    recordSync(boot.partition);
  };
  const renamed = await cutDisks(boot.partition, rename, 60, seeded(7));
  expect(new Set(renamed.disks.map(systemdBoot))).toEqual(new Set(['1', '2']));
  const remove = async () => {
    rmSync(path(entry.file.replace('+1', '')));
    recordSync(boot.partition);
  };
  const removed = await cutDisks(boot.partition, remove, 60, seeded(7));
  expect(() => removed.disks.map(systemdBoot)).toThrow('has lost its clusters');
  expect(systemdBoot(removed.after)).toBe('1');
});

it.each(Object.entries(LOADERS))(
  '%s: after any cut, a switch that is done again boots the new one',
  async (loader, start) => {
    const { boot } = await machine(loader);
    const { disks } = await cutDisks(boot.partition, () => boot.switch(), 4, seeded(3));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...disks), async (disk) => {
        const partition = mkdtempSync(join(directory, 'after-'));
        mkdirSync(join(partition, 'loader/entries'), { recursive: true });
        const directories = [
          'loader/entries',
          'osupd',
          'osupd/aside',
          ...boot
            .session()
            .boot.list('osupd')
            .map((name) => `osupd/${name}`),
        ];
        for (const parent of directories) {
          for (const name of disk.list(parent)) {
            const content = disk.read(`${parent}/${name}`);
            mkdirSync(dirname(join(partition, parent, name)), { recursive: true });
            writeFileSync(join(partition, parent, name), content === 'garbage' ? 'garbage' : (content ?? ''));
          }
        }
        const again = boot.at(partition, `loader = "${loader}"\ntries = 1`);
        await again.switch();
        const { after } = await cutDisks(
          partition,
          async () => {},
          0,
          () => 0,
        );
        expect(start(after)).toBe('2');
        await again.switch();
        expect(again.menu()).toEqual(
          ['2:2+1', '1:1'].map((each) => each.replace(/^2/, `${again.session().boot.entries()[0]?.generation}`)),
        );
      }),
      { numRuns: Math.ceil(15 * SCALE), seed: 5 },
    );
  },
);
