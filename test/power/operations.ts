/** Devices in the state before each operation, each on a disk of its own, and repositories to pull from. Needs root. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readlinkSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { objectName } from '../../src/core/digest.ts';
import { DeviceRoot } from '../../src/deploy/device.ts';
import { readLinks, type StackLinks } from '../../src/deploy/links.ts';
import { unmountStack } from '../../src/deploy/live.ts';
import { buildImage } from '../../src/image/build.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import { Pool } from '../../src/objects/pool.ts';
import { writeBuildRecord } from '../../src/repository/build-record.ts';
import { parseReleaseReference } from '../../src/repository/layout.ts';
import { syncFileSystem } from '../../src/sys/durable.ts';
import { readMounts } from '../../src/sys/mountinfo.ts';
import { brokenInvariants, noise } from '../helpers/pools.ts';
import { makeRepository, type TestRepository } from '../repository/fixture.ts';
import { DeviceProcess } from './device-process.ts';
import { Disks } from './disks.ts';

const FILES = 16;
/** Files of which each version has its own. */
const CHANGED = 6;
const BYTES = 20_000;

/** An operation that the power may fail in. */
export interface Operation {
  readonly name: string;
  /** The disk with the state before it. */
  readonly base: string;
  readonly args: readonly string[];
  /** The stack is the machine's root and switches at the start. */
  readonly boots: boolean;
  /** The stack is mounted meanwhile. */
  readonly shows: boolean;
  /** The base is damaged, which no power cut may make worse. */
  readonly damaged: boolean;
}

/** All operations; the bases are made by {@link Laboratory.create}. */
export const OPERATIONS: readonly Operation[] = [
  { name: 'pull', base: 'live-1-to-2', args: ['pull'], boots: false, shows: true, damaged: false },
  { name: 'live switch', base: 'live-1-next-2', args: ['switch'], boots: false, shows: true, damaged: false },
  { name: 'rollback', base: 'live-2', args: ['rollback'], boots: false, shows: true, damaged: false },
  { name: 'gc', base: 'live-3', args: ['gc'], boots: false, shows: true, damaged: false },
  { name: 'repair', base: 'live-2-damaged', args: ['fsck', '--repair'], boots: false, shows: false, damaged: true },
  { name: 'boot switch', base: 'boot-1-next-2', args: ['switch'], boots: true, shows: false, damaged: false },
  { name: 'mark-good', base: 'boot-2-trying', args: ['mark-good'], boots: true, shows: false, damaged: false },
];

/** The files of a version of the system. */
export function filesOf(version: number): Record<string, Buffer> {
  const files: Record<string, Buffer> = {
    'etc/version': Buffer.from(`${version}`),
    [`boot/vmlinuz-6.1.${version}`]: noise(BYTES, 1000 + version),
    [`boot/initrd.img-6.1.${version}`]: noise(2 * BYTES, 2000 + version),
  };
  for (let number = 0; number < FILES; number++) {
    files[`usr/lib/file-${number}`] = noise(BYTES + number, number < CHANGED ? 100 * version + number : number);
  }
  return files;
}

/** What a cut may leave of an operation. */
export interface Outcomes {
  /** The links before and after. */
  readonly before: StackLinks;
  readonly after: StackLinks;
  /** What is wrong with the base. */
  readonly broken: readonly string[];
}

export class Laboratory implements Disposable {
  readonly disks: Disks;
  /** Where a live stack shows. */
  readonly stack: string;
  readonly #parent: string;
  readonly #links = new Map<string, StackLinks>();
  readonly #commandLines = new Map<string, string>();

  private constructor(parent: string) {
    this.#parent = parent;
    this.disks = new Disks(parent);
    this.stack = join(parent, 'stack');
    mkdirSync(this.stack);
  }

  static async create(parent: string): Promise<Laboratory> {
    const laboratory = new Laboratory(parent);
    try {
      await laboratory.#publish();
      await laboratory.#makeBases();
      return laboratory;
    } catch (error) {
      laboratory[Symbol.dispose]();
      throw error;
    }
  }

  get root(): string {
    return join(this.disks.mountpoint, 'root');
  }

  get bootDirectory(): string {
    return join(this.disks.mountpoint, 'boot');
  }

  /** What the links mean on the disk that is mounted. */
  async links(): Promise<StackLinks> {
    return readLinks(await DeviceRoot.open(this.root), 'system');
  }

  /** What an operation may leave: after one that nobody disturbed, whose disk is mounted; that is unmounted then. */
  async outcomesOf(base: string): Promise<Outcomes> {
    const after = await this.links();
    this.disks.unmount();
    this.disks.mount(base);
    const broken = brokenInvariants(this.root);
    this.disks.unmount();
    return { before: this.#links.get(base) ?? {}, after, broken };
  }

  /** The kernel's command line of a machine in the state of a base. */
  commandLineOf(base: string): string {
    return this.#commandLines.get(base) ?? '';
  }

  async #publish(): Promise<void> {
    const origin = await makeRepository(join(this.#parent, 'origin'));
    for (const version of [1, 2, 3]) {
      await buildVersion(origin, version, join(this.#parent, `tree-${version}`));
      await origin.publish(`os@${version}`, { effort: 1 });
    }
    await origin.delta(['os@1'], ['os@2']);
    for (const version of [1, 2, 3]) {
      // One after the other: a device takes no metadata that is older than what it has seen.
      await origin.offer(`os@${version}`);
      origin.copyTo(this.#repository(version));
    }
  }

  #repository(version: number): string {
    return join(this.#parent, `repository-${version}`);
  }

  async #makeBases(): Promise<void> {
    await this.#base('live-1', undefined, 1, false, ['pull', 'switch']);
    await this.#base('live-1-to-2', 'live-1', 2, false, []);
    await this.#base('live-1-next-2', 'live-1', 2, false, ['pull']);
    await this.#base('live-2', 'live-1-next-2', 2, false, ['switch']);
    await this.#base('live-3', 'live-2', 3, false, ['pull', 'switch']);
    await this.#base('live-2-damaged', 'live-2', 2, false, [], () => damage(this.root));
    await this.#base('boot-1-next', undefined, 1, true, ['pull', 'switch']);
    await this.#base('boot-1', 'boot-1-next', 1, true, ['mark-good']);
    await this.#base('boot-1-next-2', 'boot-1', 2, true, ['pull']);
    await this.#base('boot-2-trying', 'boot-1-next-2', 2, true, ['switch']);
  }

  /** Makes a disk out of another one by some commands, with a channel that offers `version`. */
  async #base(
    name: string,
    from: string | undefined,
    version: number,
    boots: boolean,
    commands: readonly string[],
    change: () => void = () => {},
  ): Promise<void> {
    if (from === undefined) this.disks.make(name);
    else this.disks.copy(from, name);
    this.disks.mount(name);
    {
      // What runs while a disk gets its next state is what the state before has made current or next.
      await using process = new DeviceProcess({ commandLine: this.commandLineOf(from ?? '') });
      if (from === undefined) await this.#init(process, version);
      this.#configure(version, boots);
      if (from !== undefined && !boots) await expectDone(process, 'activate', '--root', this.root);
      for (const command of commands) await expectDone(process, command, '--root', this.root);
    }
    if (!boots) this.hide();
    change();
    const links = await this.links();
    this.#links.set(name, links);
    // `mark-good` is said by the system that was tried.
    const running = name.endsWith('-trying') || name === 'boot-1-next' ? links.next : links.current;
    if (running !== undefined) this.#commandLines.set(name, this.#commandLine(running));
    syncFileSystem(this.disks.mountpoint);
    this.disks.unmount();
  }

  async #init(process: DeviceProcess, version: number): Promise<void> {
    mkdirSync(join(this.bootDirectory, 'loader/entries'), { recursive: true });
    const repository = join(this.#repository(version), 'repository');
    const trust = join(repository, 'metadata/1.root.json');
    await expectDone(process, 'init', '--url', repository, '--trust', trust, '--root', this.root);
  }

  #configure(version: number, boots: boolean): void {
    const place = boots ? 'mountpoint = "/"\nswitch = "boot"' : `mountpoint = "${this.stack}"`;
    const text = `url = "${join(this.#repository(version), 'repository')}"\nkeep = 1
[boot]\ndirectory = "${this.bootDirectory}"\narguments = ["root=UUID=0", "rw"]\n[stack.system]\nimages = "os"\n${place}\n`;
    writeFileSync(join(this.root, 'osupd.toml'), text);
  }

  #commandLine(id: string): string {
    const stack = readFileSync(join(this.root, 'deployments/system', id, 'stack'));
    return `root=UUID=0 rw osupd.stack=system/${id}:${createHash('sha256').update(stack).digest('hex')}`;
  }

  /** Takes the stack away from its mountpoint, as a start of the machine does. */
  hide(): void {
    while (isMounted(this.stack)) unmountStack(this.stack, { lazy: true });
  }

  [Symbol.dispose](): void {
    this.hide();
    this.disks[Symbol.dispose]();
  }
}

function isMounted(path: string): boolean {
  return readMounts().some(({ mountpoint }) => mountpoint === path);
}

async function expectDone(process: DeviceProcess, ...args: string[]): Promise<void> {
  const result = await process.run(...args);
  if (result?.status !== 0) throw new Error(`osupd ${args.join(' ')}: ${JSON.stringify(result)}`);
}

async function buildVersion(repository: TestRepository, version: number, tree: string): Promise<void> {
  for (const [path, content] of Object.entries(filesOf(version))) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), content);
  }
  const pool = await Pool.create(repository.pool);
  const batch = await ObjectBatch.open(pool);
  const { digest, bytes, objects } = await buildImage([{ kind: 'directory', path: tree }], batch, { inlineLimit: 64 });
  await batch.close();
  await writeBuildRecord(repository.pool, {
    schema: 'osupd-build/1',
    ...parseReleaseReference(`os@${version}`),
    architecture: 'x86_64',
    image: { digest, size: bytes.length },
    objects,
    createdAt: '2029-12-31T00:00:00Z',
  });
}

/** One of each: an object that is missing, changed, cut off; one that only the rollback needs; a file of a deployment. */
function damage(root: string): void {
  const path = (version: number, name: string) => {
    const digest = fsverityDigest(filesOf(version)[name] as Buffer);
    return join(root, 'objects', objectName(digest));
  };
  rmSync(path(2, 'usr/lib/file-0'));
  truncateSync(path(2, 'usr/lib/file-1'), 100);
  const changed = path(2, 'usr/lib/file-7');
  const content = readFileSync(changed);
  content[5000] = (content[5000] ?? 0) ^ 1;
  writeFileSync(changed, content);
  truncateSync(path(1, 'usr/lib/file-2'), 10_000);
  const rollback = basename(readlinkSync(join(root, 'rollback/system')));
  writeFileSync(join(root, 'deployments/system', rollback, 'stack'), 'torn');
}
