import { execFileSync } from 'node:child_process';
import { mkdtempSync, truncateSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { describeWith } from '../helpers/requirements.ts';
import { jsonOf } from '../helpers/run-command.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { smallRepository } from './small-system.ts';

const DEFINITIONS = resolve(import.meta.dirname, '../../examples/repart.d');

interface Partition {
  readonly start: number;
  readonly size: number;
  readonly type: string;
  readonly name: string;
  readonly uuid: string;
}

describeWith(['root', 'systemd-repart', 'sfdisk', 'mkfs.vfat', 'mkfs.ext4', 'mcopy'], 'examples/repart.d', () => {
  const base = temporaryDirectory();
  const disk = join(mkdtempSync(join(base, 'disk-')), 'disk.img');
  const partitions = (path: string): Partition[] =>
    JSON.parse(execFileSync('sfdisk', ['--json', path], { encoding: 'utf8' })).partitiontable.partitions;
  const repart = (path: string, ...words: string[]) =>
    execFileSync('systemd-repart', ['--dry-run=no', `--definitions=${DEFINITIONS}`, ...words, path], {
      stdio: 'ignore',
    });

  it('makes the partitions of osupd install, and lets those grow on a larger disk', async () => {
    const { directory, trust } = await smallRepository(base);
    await jsonOf(['install', '--disk', disk, '--size', '900M', '--url', directory, '--trust', trust]);
    const installed = partitions(disk);

    const other = join(mkdtempSync(join(base, 'disk-')), 'disk.img');
    repart(other, '--empty=create', '--size=900M');
    const kinds = (list: readonly Partition[]) => list.map(({ type, name }) => ({ type, name }));
    expect(kinds(partitions(other))).toEqual(kinds(installed));
    expect(partitions(other)[0]).toMatchObject({ start: installed[0]?.start, size: installed[0]?.size });

    truncateSync(disk, 2 ** 30);
    repart(disk);
    const [esp, state] = partitions(disk);
    expect(esp).toEqual(installed[0]);
    expect(state).toMatchObject({ uuid: installed[1]?.uuid, start: installed[1]?.start });
    expect(state?.size).toBeGreaterThan((installed[1]?.size ?? 0) + (100 << 11));
  });
});
