/** I7 beside everything else: gc, pulls, switches, mounts and repairs in random order, on real files with real mounts. */
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { type Digest, objectName } from '../../src/core/digest.ts';
import { OsupdError } from '../../src/core/errors.ts';
import { noProgress } from '../../src/core/progress.ts';
import { collectGarbage } from '../../src/deploy/collect-garbage.ts';
import { checkComplete, objectsOfImages } from '../../src/deploy/completeness.ts';
import { readConfiguration } from '../../src/deploy/configuration.ts';
import { deployImages, listDeploymentIds, readDeployment } from '../../src/deploy/deployment.ts';
import { readLinks } from '../../src/deploy/links.ts';
import { unmountStack } from '../../src/deploy/live.ts';
import { mountImages } from '../../src/deploy/mount-images.ts';
import { imagesOfMounts } from '../../src/deploy/mounted-images.ts';
import { pin, readPins, unpin } from '../../src/deploy/pins.ts';
import { rollbackStack, switchStacks } from '../../src/deploy/switch.ts';
import { encodeImage } from '../../src/image/write.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import { type DirectoryNode, EPOCH, type FileNode } from '../../src/tree/tree.ts';
import { at, ORIGIN, TestDevice } from '../helpers/device.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { randomNumbers } from '../helpers/mutate.ts';
import { noise } from '../helpers/pools.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();
const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
/** 1,000 in the long form. */
const SCHEDULES = SCALE > 1 ? 20 * SCALE : 30;
const FIRST_SEED = Number(process.env.OSUPD_TEST_SEED ?? 1);
const VERSIONS = 6;
const ACTORS = 3;
const STEPS = 6;
/** A byte of the superblock that says nothing (the UUID of the file system): damage that no reader of the mount sees. */
const HARMLESS_OFFSET = 1024 + 48;

interface Version {
  readonly image: Buffer;
  readonly digest: Digest;
  readonly files: ReadonlyMap<string, Buffer>;
}

/** Two files of its own, one that it shares with a neighbour, one that all have. */
function makeVersion(number: number): Version {
  const seeds = { own: number, other: 100 + number, neighbours: 200 + Math.floor(number / 2), all: 300 };
  const files = new Map(Object.entries(seeds).map(([name, seed]) => [name, noise(5000 + seed, seed)]));
  const common = { uid: 0, gid: 0, mtime: EPOCH, xattrs: new Map() };
  const children = [...files].map(([name, bytes]): [string, FileNode] => {
    const digest = fsverityDigest(bytes);
    const content = { size: bytes.length, digest, payload: objectName(digest) };
    return [name, { ...common, type: 'file', mode: 0o644, nlink: 1, ...content }];
  });
  const root: DirectoryNode = { ...common, type: 'directory', mode: 0o755, nlink: 2, children: new Map(children) };
  const image = encodeImage({ root });
  return { image, digest: fsverityDigest(image), files };
}

const versions = Array.from({ length: VERSIONS }, (_, number) => makeVersion(number));
const versionOf = (digest: Digest) => versions.find((version) => version.digest === digest) as Version;

function readAll(tree: string, { files }: Version): void {
  for (const [name, content] of files) expect(readFileSync(join(tree, name)).equals(content)).toBe(true);
}

/** One device, and what a test knows of who uses what. */
class Schedule {
  readonly #device: TestDevice;
  readonly #random: () => number;
  /** Trees that a process has a directory of open. */
  readonly #held: { fd: number; version: Version }[] = [];
  /** Images that were mounted by hand. */
  readonly #mounted: { place: string; version: Version }[] = [];
  #minute = 0;

  private constructor(device: TestDevice, random: () => number) {
    this.#device = device;
    this.#random = random;
  }

  static async create(seed: number): Promise<Schedule> {
    return new Schedule(await TestDevice.create(directory, 'keep = 1\n'), randomNumbers(seed));
  }

  /** Several actors, each doing one thing after the other; what fails because another is at it is not done. */
  async run(): Promise<void> {
    const actions = [this.#pull, this.#pull, this.#switch, this.#switch, this.#back, this.#gc, this.#gc];
    const rare = [this.#hold, this.#letGo, this.#mount, this.#unmount, this.#repair, this.#pin, this.#hide];
    const actor = async () => {
      for (let step = 0; step < STEPS; step++) {
        const action = this.#pick([...actions, ...rare]);
        try {
          await action.call(this);
        } catch (error) {
          if (!(error instanceof OsupdError) || !['busy', 'not-found'].includes(error.code)) throw error;
        }
        for (let turns = Math.floor(this.#random() * 4); turns > 0; turns--) await setImmediate();
      }
    };
    const results = await Promise.allSettled(Array.from({ length: ACTORS }, actor));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    await this.#expectExact();
    this.#letAllGo();
    await this.#expectExact();
  }

  get #root() {
    return this.#device.root;
  }

  #pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.#random() * items.length)] as Item;
  }

  get #configuration() {
    return readConfiguration({ root: this.#root.directory });
  }

  /** As the command does it; one in four is given up after its objects came. */
  async #pull(): Promise<void> {
    const { pool } = this.#root;
    const { image, digest, files } = this.#pick(versions);
    const abandoned = this.#random() < 0.25;
    using _lock = this.#root.lock();
    const batch = await ObjectBatch.open(pool, { workers: 1, flushObjects: 2 });
    try {
      for (const bytes of files.values()) {
        const expected = fsverityDigest(bytes);
        if (!batch.has(expected, bytes.length)) await batch.addExpected(expected, bytes.length, once(bytes));
      }
      await batch.flush();
      if (abandoned) return;
      await pool.addImage(image, digest);
    } finally {
      await batch.close();
    }
    const images = [{ name: 'os', version: String(versions.findIndex((each) => each.digest === digest)), digest }];
    await deployImages(this.#root, 'system', images, ORIGIN, at(this.#minute++ % 60));
  }

  async #switch(): Promise<void> {
    using _lock = this.#root.lock();
    await switchStacks(this.#root, this.#configuration, ['system'], { progress: noProgress });
  }

  async #back(): Promise<void> {
    using _lock = this.#root.lock();
    await rollbackStack(this.#root, this.#configuration, 'system', undefined, { progress: noProgress });
  }

  async #gc(): Promise<void> {
    using _lock = this.#root.lock();
    await collectGarbage(this.#root, this.#configuration, { progress: noProgress });
    for (const { fd, version } of this.#held) readAll(`/proc/self/fd/${fd}`, version);
    for (const { place, version } of this.#mounted) readAll(place, version);
    const shown = this.#shown();
    if (shown !== undefined) readAll(this.#device.mountpoint, shown);
  }

  async #hold(): Promise<void> {
    const version = this.#shown();
    if (version !== undefined) this.#held.push({ fd: openSync(this.#device.mountpoint, 'r'), version });
  }

  async #letGo(): Promise<void> {
    const [held] = this.#held.splice(0, 1);
    if (held !== undefined) closeSync(held.fd);
  }

  async #mount(): Promise<void> {
    const version = this.#pick(versions);
    const place = join(this.#root.directory, `mnt/by-hand-${this.#minute++}`);
    mkdirSync(place, { recursive: true });
    const pool = this.#root.directory;
    await mountImages({ images: [version.digest], directory: place, pool, verity: 'off', replace: false });
    this.#mounted.push({ place, version });
  }

  async #unmount(): Promise<void> {
    const [mounted] = this.#mounted.splice(0, 1);
    if (mounted !== undefined) unmountStack(mounted.place, { lazy: true });
  }

  /** An image of the pool becomes bad and gets a new file, also under a mount. */
  async #repair(): Promise<void> {
    using _lock = this.#root.lock();
    const digest = this.#pick(await this.#root.pool.listImages());
    if (digest === undefined) return;
    const fd = openSync(this.#root.pool.imagePath(digest), 'r+');
    writeSync(fd, Buffer.from([0xff]), 0, 1, HARMLESS_OFFSET);
    closeSync(fd);
    await this.#root.pool.addImage(versionOf(digest).image, digest);
  }

  async #pin(): Promise<void> {
    using _lock = this.#root.lock();
    const id = this.#pick(listDeploymentIds(this.#root, 'system'));
    if (id === undefined) return;
    if (readPins(this.#root, 'system').has(id)) unpin(this.#root, 'system', id);
    else pin(this.#root, 'system', id);
  }

  async #hide(): Promise<void> {
    unmountStack(this.#device.mountpoint, { lazy: true });
  }

  /** The version that the stack shows. */
  #shown(): Version | undefined {
    try {
      const own = readFileSync(join(this.#device.mountpoint, 'own'));
      return versions.find(({ files }) => files.get('own')?.equals(own));
    } catch {
      return undefined;
    }
  }

  #letAllGo(): void {
    for (const { fd } of this.#held.splice(0)) closeSync(fd);
    for (const { place } of this.#mounted.splice(0)) unmountStack(place, { lazy: true });
    if (this.#shown() !== undefined) unmountStack(this.#device.mountpoint, { lazy: true });
  }

  /** After one more gc exactly that is there which somebody needs. */
  async #expectExact(): Promise<void> {
    const { pool } = this.#root;
    const shown = this.#shown();
    const used = new Set([...this.#held, ...this.#mounted].map(({ version }) => version.digest));
    if (shown !== undefined) used.add(shown.digest);
    // The kernel needs a moment to let go of what was unmounted.
    await expect.poll(() => [...imagesOfMounts(pool)].sort(), { interval: 2 }).toEqual([...used].sort());
    const { current, next, rollback } = readLinks(this.#root, 'system');
    const needed = [current, next, rollback, ...readPins(this.#root, 'system')].filter((id) => id !== undefined);
    await this.#gc();
    const ids = listDeploymentIds(this.#root, 'system');
    expect(ids).toEqual(expect.arrayContaining(needed));
    const deployments = ids.map((id) => readDeployment(this.#root, 'system', id));
    for (const { images } of deployments) await checkComplete(pool, images, { verify: true, progress: noProgress });
    const images = new Set([...deployments.flatMap((each) => each.images.map(({ digest }) => digest)), ...used]);
    expect(await pool.listImages()).toEqual([...images].sort());
    const objects = (await objectsOfImages(pool, images)).map(({ digest }) => digest);
    expect((await Array.fromAsync(pool.listObjects())).map(({ digest }) => digest)).toEqual(objects.sort());
    // The rollback or, without one, the newest old one; and what is pinned or shows.
    const kept = ids.filter((id) => !needed.includes(id));
    expect(kept.length).toBeLessThanOrEqual((rollback === undefined ? 1 : 0) + (shown === undefined ? 0 : 1));
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

describeWith(['root'], 'gc beside pulls and mounted stacks', () => {
  beforeAll(() => enterMountNamespace());

  it(
    'removes nothing that is needed and leaves nothing that is not, in any order',
    async () => {
      for (let seed = FIRST_SEED; seed < FIRST_SEED + SCHEDULES; seed++) {
        const schedule = await Schedule.create(seed);
        try {
          await schedule.run();
        } catch (error) {
          throw new Error(`schedule with seed ${seed}`, { cause: error });
        }
      }
    },
    60_000 * Math.max(3, SCALE),
  );
});
