/** I1, I2 and I4 on real file systems: the power is cut after each step of a build, and what was not synced is lost. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import type { CommitStep } from '../../src/objects/commit.ts';
import { syncFileSystem } from '../../src/sys/durable.ts';
import { CrashDisk } from '../helpers/crash-disk.ts';
import { killNodeBefore } from '../helpers/kill.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { brokenInvariants, writeNoise } from '../helpers/pools.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const WRITER = resolve(import.meta.dirname, '../helpers/pool-writer.ts');
const STEPS: readonly CommitStep[] = ['staged', 'contents-synced', 'sealed', 'renamed', 'committed'];
/** Some large enough to share blocks on xfs, and enough for three flushes. */
const SIZES = Array.from({ length: 40 }, (_, at) => (at % 4 === 0 ? 70_000 : 100 + at * 17));

const directory = temporaryDirectory();

function run(args: readonly string[]): { digest: string; recovered: number } | undefined {
  const { signal, status, stdout, stderr } = spawnSync(process.execPath, [WRITER, ...args], { encoding: 'utf8' });
  if (signal === 'SIGKILL') return undefined;
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
}

/** A disk with a tree on it; what is not the tree is removed before each cut. */
class Trial implements Disposable {
  readonly disk: CrashDisk;
  readonly tree: string;
  readonly pool: string;

  readonly files: number;

  constructor(type: 'ext4' | 'xfs' | 'btrfs', sizes = SIZES) {
    this.files = sizes.length;
    this.disk = new CrashDisk(directory, type);
    this.tree = join(this.disk.directory, 'tree');
    this.pool = join(this.disk.directory, 'pool');
    mkdirSync(this.tree);
    writeNoise(this.tree, sizes);
    this.reset();
  }

  reset(): void {
    rmSync(this.pool, { recursive: true, force: true });
    syncFileSystem(this.disk.directory);
  }

  /** Cuts the power, looks at what is left, and builds to the end. */
  cut(): { objects: number; recovered: number } {
    this.disk.crash();
    expect(brokenInvariants(this.pool)).toEqual([]);
    const objects = this.#count('objects');
    const images = this.#count('images');
    const result = run([this.pool, this.tree]);
    expect(brokenInvariants(this.pool)).toEqual([]);
    expect(readdirSync(join(this.pool, 'images'))).toEqual([result?.digest]);
    expect(readdirSync(join(this.pool, 'staging'))).toEqual(['lock']);
    expect(this.#count('objects')).toBe(this.files);
    // An image is there only when all is (I1); brokenInvariants has looked at its objects.
    if (images > 0) expect(objects).toBe(this.files);
    return { objects, recovered: result?.recovered ?? 0 };
  }

  #count(part: string): number {
    const path = join(this.pool, part);
    if (!existsSync(path)) return 0;
    const entries = readdirSync(path, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).length;
  }

  [Symbol.dispose](): void {
    this.disk[Symbol.dispose]();
  }
}

describeWith(['root', 'mkfs.ext4', 'mkfs.xfs', 'mkfs.btrfs', 'strace'], 'the power is cut', () => {
  beforeAll(() => enterMountNamespace());

  for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
    it(`on ${type} after each step of a flush: what was committed stays, the rest is no object`, () => {
      using trial = new Trial(type);
      for (const step of STEPS) {
        trial.reset();
        expect(run([trial.pool, trial.tree, step, '2'])).toBeUndefined();
        const { objects, recovered } = trial.cut();
        // The first flush is on disk in any case, and so is the second once it says so.
        expect(objects).toBeGreaterThanOrEqual(step === 'committed' ? 32 : 16);
        // Contents that were synced are not read from the source again, whether their names were or not.
        if (step !== 'staged') expect(objects + recovered).toBeGreaterThanOrEqual(32);
      }
    });
  }

  it('after a build over what a killed one had renamed but not made durable', () => {
    using trial = new Trial('btrfs', SIZES.slice(0, 10));
    expect(run([trial.pool, trial.tree, 'renamed'])).toBeUndefined();
    run([trial.pool, trial.tree]);
    expect(trial.cut().objects).toBe(trial.files);
  });

  it('before each call that makes something durable', () => {
    using trial = new Trial('ext4');
    for (const call of ['fsync', 'syncfs', 'rename']) {
      for (const count of call === 'rename' ? [1, 9, 17, 33, 40] : [1, 2, 3, 4]) {
        trial.reset();
        killNodeBefore(call, count, [WRITER, trial.pool, trial.tree]);
        trial.cut();
      }
    }
  });
});
