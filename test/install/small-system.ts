/** A repository with a system that has all that `osupd install` looks for, and is as small as can be. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { jsonOf } from '../helpers/run-command.ts';

export const LOADER = 'usr/lib/systemd/boot/efi/systemd-bootx64.efi';

/** Paths in the tree to contents; one that ends in `/` is a directory. */
export const SYSTEM: Readonly<Record<string, string>> = {
  [LOADER]: 'boot loader'.padEnd(9000, '.'),
  'boot/vmlinuz-6.12': 'kernel'.padEnd(70_000, '.'),
  'boot/initrd.img-6.12': 'initrd'.padEnd(90_000, '.'),
  'etc/hostname': 'device\n',
  'etc/osupd/note': 'of the image\n',
  'efi/': '',
  'home/': '',
  'usr/bin/tool': 'tool'.padEnd(300_000, '.'),
  'var/lib/dpkg/status': 'Package: osupd\n'.repeat(100),
};

export interface SmallRepository {
  readonly directory: string;
  readonly trust: string;
}

/** Releases by `NAME@VERSION`, all offered by the channel stable. */
export async function smallRepository(
  parent: string,
  releases: Readonly<Record<string, Readonly<Record<string, string>>>> = { 'os@1': SYSTEM },
): Promise<SmallRepository> {
  const base = mkdtempSync(join(parent, 'repository-'));
  const [directory, pool, keys] = [join(base, 'repo'), join(base, 'pool'), join(base, 'keys')];
  await jsonOf(['repo', 'init', directory, '--keys', keys]);
  for (const [reference, files] of Object.entries(releases)) {
    const [name = '', version = ''] = reference.split('@');
    const tree = join(base, 'tree');
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(join(tree, path.endsWith('/') ? path : dirname(path)), { recursive: true });
      if (!path.endsWith('/')) writeFileSync(join(tree, path), content);
    }
    await jsonOf(['build', tree, '--name', name, '--version', version, '--pool', pool, '--arch', 'x86_64']);
    await jsonOf([
      'repo',
      'publish',
      directory,
      '--keys',
      keys,
      '--pool',
      pool,
      '--no-full',
      '--effort',
      '1',
      reference,
    ]);
    await jsonOf(['repo', 'channel', directory, '--keys', keys, 'stable', reference]);
    rmSync(tree, { recursive: true });
  }
  return { directory, trust: join(directory, 'metadata/1.root.json') };
}
