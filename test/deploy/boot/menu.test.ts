import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findBootFiles } from '../../../src/deploy/boot/boot-files.ts';
import { BootPartition } from '../../../src/deploy/boot/boot-partition.ts';
import { bootedDeployment, bootedWord } from '../../../src/deploy/boot/booted.ts';
import {
  type BootEntry,
  compareEntries,
  entryFile,
  formatEntry,
  parseEntry,
  parseEntryName,
} from '../../../src/deploy/boot/entry.ts';
import { findBootDirectory } from '../../../src/deploy/boot/find-boot-directory.ts';
import { grubMenu, writeGrubMenu } from '../../../src/deploy/boot/grub.ts';
import { type BootConfiguration, bootArguments } from '../../../src/deploy/boot/kernel-arguments.ts';
import type { Deployment } from '../../../src/deploy/deployment-files.ts';
import { decodeImage } from '../../../src/image/read.ts';
import type { MountEntry } from '../../../src/sys/mountinfo.ts';
import type { Tree } from '../../../src/tree/tree.ts';
import { itWith } from '../../helpers/requirements.ts';
import { longText, type NodeOptions, TestPool } from '../../helpers/stack.ts';
import { temporaryDirectory } from '../../helpers/temporary.ts';

const directory = temporaryDirectory();

const hex = fc
  .array(fc.constantFrom(...'0123456789abcdef'), { minLength: 12, maxLength: 12 })
  .map((all) => all.join(''));
const entryName = fc.record(
  {
    stack: fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,20}$/),
    generation: fc.integer({ min: 1, max: 999_999_999 }),
    id: fc.tuple(fc.integer({ min: 1, max: 9999 }), hex).map(([serial, hash]) => `${serial}-${hash}`),
    left: fc.nat(9),
  },
  { requiredKeys: ['stack', 'generation', 'id'] },
);

describe('names and contents of entries', () => {
  it('what a name says comes back from it, also with the counter of the boot loader and in upper case', () => {
    fc.assert(
      fc.property(entryName, fc.nat(9), (name, done) => {
        expect(parseEntryName(entryFile(name))).toEqual(name);
        const counted = name.left === undefined ? name : { ...name, done };
        expect(parseEntryName(entryFile(counted).toUpperCase())).toEqual(counted);
      }),
    );
  });

  it.each(['debian.conf', 'osupd-system-1.conf', 'osupd-system-0-1-0123456789ab.conf', 'osupd-s-1-1-0123456789ab.tmp'])(
    'leaves out %s',
    (file) => expect(parseEntryName(file)).toBeUndefined(),
  );

  it('what an entry says comes back from it', () => {
    const word = fc.stringMatching(/^[!-~]{1,20}$/);
    fc.assert(
      fc.property(entryName, fc.array(word, { maxLength: 8 }), fc.boolean(), (name, options, unified) => {
        const initrd = unified ? {} : { initrd: '/osupd/b/initrd.img' };
        const contents = { title: 'os 1 (1-x)', kernel: '/osupd/a/vmlinuz', unified, ...initrd, options };
        expect(parseEntry(formatEntry(name, contents))).toEqual(contents);
      }),
    );
  });

  it('a line cannot hold another one; an entry without a program is none', () => {
    const name = { stack: 'system', generation: 1, id: '1-0123456789ab' };
    const contents = { title: 'x\nlinux /evil', kernel: '/k', unified: false, options: [] };
    expect(() => formatEntry(name, contents)).toThrow('cannot hold this title');
    expect(parseEntry('title x\noptions y\n')).toBeUndefined();
    expect(parseEntry('')).toBeUndefined();
  });

  it('the command line says what is booted', () => {
    const booted = { stack: 'system', id: '7-0123456789ab', stackDigest: 'a'.repeat(64) };
    expect(bootedDeployment(`quiet ${bootedWord(booted)} rw\n`)).toEqual(booted);
    for (const text of ['quiet', 'osupd.stack=system', 'osupd.stack=../x/7-0123456789ab:aa', 'xosupd.stack=a'])
      expect(bootedDeployment(text)).toBeUndefined();
  });
});

function treeOf(nodes: Readonly<Record<string, string | NodeOptions>>): Tree {
  return decodeImage(readFileSync(new TestPool(directory).addImage(nodes)));
}

describe('the kernel of an image', () => {
  const kernel = longText('kernel');
  it.each<[string, Record<string, string | NodeOptions>, object]>([
    [
      'of the highest version, with its initrd',
      {
        'usr/lib/modules/6.9.1/vmlinuz': kernel,
        'usr/lib/modules/6.10.0/vmlinuz': kernel,
        'usr/lib/modules/6.10.0/initramfs.img': 'initrd',
      },
      { version: '6.10.0', initrd: { path: '/usr/lib/modules/6.10.0/initramfs.img', size: 6 } },
    ],
    [
      'without an initrd; a directory of modules without a kernel counts for nothing',
      { 'usr/lib/modules/6.9/vmlinuz': kernel, 'usr/lib/modules/7.0/x.ko': '' },
      { version: '6.9' },
    ],
    [
      'in /boot, as Debian has it',
      { 'boot/vmlinuz-6.1.0-9-amd64': kernel, 'boot/initrd.img-6.1.0-9-amd64': kernel },
      { version: '6.1.0-9-amd64', initrd: { path: '/boot/initrd.img-6.1.0-9-amd64' } },
    ],
    [
      'through symbolic links',
      {
        'usr/lib/modules/6.9/vmlinuz': { type: 'symlink', content: '/boot/../boot/real' },
        'boot/real': kernel,
      },
      { version: '6.9', kernel: { size: 9000 } },
    ],
  ])('is found %s', (_title, nodes, expected) => {
    expect(findBootFiles(treeOf(nodes))).toMatchObject(expected);
  });

  it('is where the release says, and an error says where there is none', () => {
    const tree = treeOf({ 'a/b': kernel, 'a/c': 'x', 'usr/lib/modules/6.9/vmlinuz': kernel });
    expect(findBootFiles(tree, { kernel: 'a/b', initrd: '/a/c' })).toMatchObject({ kernel: { path: '/a/b' } });
    expect(() => findBootFiles(tree, { kernel: 'a/b', initrd: 'a/none' })).toThrow(/place of the initrd/);
    expect(() => findBootFiles(treeOf({ 'a/b': kernel }))).toThrow('the image has no kernel');
    expect(() =>
      findBootFiles(treeOf({ 'usr/lib/modules/1/vmlinuz': { type: 'symlink', content: 'vmlinuz' } })),
    ).toThrow();
  });
});

describe('kernel arguments', () => {
  const deployment: Deployment = {
    schema: 'osupd-deployment/1',
    id: '1-0123456789ab',
    stack: 'system',
    images: [],
    createdAt: '2030-01-01T00:00:00Z',
    origin: { url: '/x', channel: 'stable' },
    arguments: ['quiet', 'console=tty0', 'console=ttyS1', 'osupd.root=/evil', 'init=/lib/init'],
  };
  const boot = (words: string[], more: Partial<BootConfiguration> = {}): BootConfiguration => ({
    ...{ loader: 'systemd-boot', tries: 3, arguments: words },
    ...more,
  });
  const rest = (configuration: BootConfiguration, root = '/var/lib/osupd') =>
    bootArguments(deployment, configuration, { root }).slice(1).join(' ');

  it('the configuration wins for the same key, and takes away; what decides about mounts is the device’s own', () => {
    expect(rest(boot(['root=UUID=1', 'console=ttyS0', '-quiet']))).toBe('init=/lib/init root=UUID=1 console=ttyS0');
    expect(rest(boot(['root=UUID=1']), '/sysroot/osupd')).toMatch(
      /^osupd\.root=\/osupd quiet console=tty0 console=ttyS1 /,
    );
    const all = boot(['root=/dev/vda2'], { verity: 'require', failure: 'halt', writable: ['/home', '/srv'] });
    expect(rest(all)).toMatch(/^osupd\.writable=\/home:\/srv osupd\.verity=require osupd\.failure=halt quiet /);
  });

  it('without root= there is nothing to boot', () => {
    expect(() => rest(boot(['quiet']))).toThrow('where the state file system is');
    expect(() => bootArguments({ ...deployment, arguments: ['a\u0007b'] }, boot(['root=x']), { root: '/r' })).toThrow();
  });
});

describe('the boot partition', () => {
  const mount = (mountpoint: string, type: string) => ({ mountpoint, type }) as MountEntry;

  it('is the first place where a FAT is mounted', () => {
    const mounts = [mount('/boot', 'vfat'), mount('/boot/efi', 'vfat'), mount('/efi', 'autofs')];
    expect(findBootDirectory({ boot: {} }, mounts)).toBe('/boot/efi');
    expect(() => findBootDirectory({ boot: {} }, [mount('/boot', 'ext4')])).toThrow('no boot partition is mounted');
  });

  it('an empty mountpoint is none', () => {
    const empty = mkdtempSync(join(directory, 'empty-'));
    expect(() => findBootDirectory({ boot: { directory: empty } })).toThrow('not a boot partition');
    mkdirSync(join(empty, 'EFI'));
    expect(findBootDirectory({ boot: { directory: empty } })).toBe(empty);
  });
});

function entry(generation: number, left?: number, more: Partial<BootEntry['contents']> = {}): BootEntry {
  const name = {
    stack: 'system',
    generation,
    id: `${generation}-0123456789ab`,
    ...(left === undefined ? {} : { left }),
  };
  const contents = {
    title: `os ${generation}`,
    kernel: '/osupd/k/vmlinuz',
    unified: false,
    options: ['root=1'],
    ...more,
  };
  return { ...name, file: entryFile(name), contents };
}

describe('the menu for GRUB', () => {
  const menu = grubMenu([
    entry(3, 2, { title: "it's $new", initrd: '/osupd/i/initrd.img', options: ["a='b c'", '"$x"'] }),
    entry(2),
  ]);

  it('counts the first, falls back to one that was good, and names files from the partition', () => {
    expect(menu).toContain('set default=\'osupd-system-3-3-0123456789ab\'\nif [ "$osupd_generation" != 3 ]; then');
    expect(menu).toContain('if [ "$osupd_left" = 0 ]; then set default=\'osupd-system-2-2-0123456789ab\'; fi');
    expect(menu).toContain(`linux ($osupd_root)/osupd/k/vmlinuz 'a='\\''b' 'c'\\''' '"$x"'`.replace("'b' 'c", "'b c"));
    expect(grubMenu([entry(1)])).not.toContain('save_env');
    expect(grubMenu([entry(1, undefined, { unified: true })])).toContain('chainloader ($osupd_root)/osupd/k/vmlinuz');
  });

  itWith(['grub-script-check'], 'is a script that GRUB takes', () => {
    const partition = mkdtempSync(join(directory, 'esp-'));
    const boot = new BootPartition(partition);
    writeGrubMenu(boot, [entry(3, 2), entry(2, undefined, { title: "it's" })]);
    writeFileSync(join(partition, 'odd.cfg'), menu);
    for (const file of ['osupd/grub.cfg', 'osupd/menu-0.cfg', 'odd.cfg'])
      execFileSync('grub-script-check', [join(partition, file)]);
    expect(boot.sizeOf('osupd/grubenv')).toBe(1024);
  });

  it('two menus take turns', () => {
    const boot = new BootPartition(mkdtempSync(join(directory, 'esp-')));
    const menus = () => boot.list('osupd').filter((name) => name.startsWith('menu'));
    writeGrubMenu(boot, [entry(1)]);
    const first = menus();
    writeGrubMenu(boot, [entry(1)]);
    expect(menus()).toEqual(first);
    writeGrubMenu(boot, [entry(2, 3), entry(1)]);
    expect(menus()).not.toEqual(first);
    expect([...first, ...menus()].sort()).toEqual(['menu-0.cfg', 'menu-1.cfg']);
  });
});

it('entries are in the order of the specification', () => {
  const sorted = [entry(1), entry(9, 0), entry(10, 1), entry(2), entry(10), entry(10, 3)].sort(compareEntries);
  expect(sorted.map(({ generation, left }) => `${generation}${left === undefined ? '' : `+${left}`}`)).toEqual([
    ...['10', '10+3', '10+1'],
    ...['2', '1', '9+0'],
  ]);
});
