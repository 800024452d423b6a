/** Makes a disk from a repository that boots: partitions, boot loader, pool, first deployment, its /etc and /var, boot entry. */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { OsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import { findBootFiles } from '../deploy/boot/boot-files.ts';
import { openBootPartition } from '../deploy/boot/boot-partition.ts';
import { fillWritable } from '../deploy/boot/fill-var.ts';
import { bootArguments } from '../deploy/boot/kernel-arguments.ts';
import { titleOf } from '../deploy/boot/switch-boot.ts';
import { writeBootEntry } from '../deploy/boot/write-entry.ts';
import { deployImages } from '../deploy/deployment.ts';
import type { Deployment, Origin } from '../deploy/deployment-files.ts';
import { DeviceRoot } from '../deploy/device.ts';
import { prepareEtc } from '../deploy/etc/prepare-etc.ts';
import { makeCurrent } from '../deploy/links.ts';
import { stackTree } from '../deploy/stack-tree.ts';
import { type PullSummary, pull } from '../pull/pull.ts';
import type { Trust } from '../pull/trust.ts';
import type { Release } from '../repository/release.ts';
import { writeFileDurably } from '../sys/durable.ts';
import type { CountingSource } from '../transport/counting.ts';
import type { Tree } from '../tree/tree.ts';
import { findBootLoader, writeBootLoader } from './boot-loader.ts';
import { type MountedPart, makeEsp, makeState, type StateFileSystem } from './file-system.ts';
import { type DiskPlan, planDisk } from './partitions.ts';
import { type FollowedRepository, fileSystemTable, systemConfiguration } from './system-files.ts';
import { type DiskRequest, TargetDisk } from './target-disk.ts';

export interface InstallRequest {
  readonly disk: DiskRequest;
  readonly espBytes: number;
  readonly fileSystem: StateFileSystem;
  /** Where it comes from now. */
  readonly source: CountingSource;
  /** The open view of the repository, and the directory where it keeps what it has verified: it goes to the new device. */
  readonly trust: Trust;
  readonly trustDirectory: string;
  /** What is installed, the topmost first. */
  readonly releases: readonly Release[];
  /** What the new device follows. */
  readonly follow: FollowedRepository;
  /** Kernel arguments of this device. */
  readonly arguments: readonly string[];
  /** Now, as `2030-01-31T23:59:59Z`. */
  readonly createdAt: string;
  readonly newUuid: () => string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

export interface InstallResult {
  readonly plan: DiskPlan;
  readonly deployment: Deployment;
  readonly summary: PullSummary;
  /** Name of the boot entry's file. */
  readonly entry: string;
}

/** Place of the device root on the state file system. */
const ROOT = 'var/lib/osupd';
/** Directories of the state file system that the system may write to. */
const WRITABLE = ['/var', '/home', '/root', '/srv'];

/** A file of a pool takes a block of 4096 bytes more than its content: half of one is empty, and half of the files are small. */
const FILE_OVERHEAD = 4096;
/** Journal and tables of a file system, a tenth for it to work well. */
const FILE_SYSTEM_BYTES = 96 << 20;

/**
 * Installs onto a disk. The partition table is written when everything else is complete: cut short, the disk is no system, and the
 * next attempt begins anew.
 *
 * @throws OsupdError `no-space` before anything is changed for a disk that is too small; `busy`, `usage` for one that may not be
 *   overwritten; `not-found` for an image that cannot be booted; `verification-failed`, `network` from the download; `unsupported`
 *   where this machine lacks what it takes.
 */
export async function install(request: InstallRequest): Promise<InstallResult> {
  const { progress, signal, newUuid } = request;
  const stateUuid = newUuid();
  const words = [`root=UUID=${stateUuid}`, 'rw', ...request.arguments];
  const configuration = systemConfiguration(request.follow, words);
  using disk = TargetDisk.open(request.disk);
  try {
    const architecture = architectureOf(request.releases);
    const plan = planDisk(disk.geometry, {
      where: disk.path,
      espBytes: request.espBytes,
      stateBytes: stateBytes(request.releases),
      architecture,
      newUuid,
    });
    disk.clear();
    const installed = await fill(disk, plan, { ...request, words, configuration, architecture, stateUuid });
    signal?.throwIfAborted();
    progress({ kind: 'note', text: 'everything is on the disk; the partition table makes it complete' });
    await disk.finish(plan);
    return { plan, ...installed };
  } catch (error) {
    disk.discard();
    throw error;
  }
}

interface FillRequest extends InstallRequest {
  /** All kernel arguments of the device. */
  readonly words: readonly string[];
  /** Text of osupd.toml. */
  readonly configuration: string;
  readonly architecture: string;
  readonly stateUuid: string;
}

/** Makes both file systems and everything on them; both are on disk and unmounted when it returns. */
async function fill(disk: TargetDisk, plan: DiskPlan, request: FillRequest): Promise<Omit<InstallResult, 'plan'>> {
  await using state = await makeState(disk, plan.state, request.fileSystem, request.stateUuid);
  const device = await DeviceRoot.create(join(state.directory, ROOT));
  using _lock = device.lock();
  cpSync(request.trustDirectory, device.trustDirectory, { recursive: true });
  const { deployment, summary } = await deploy(device, request);
  const tree = await stackTree(device.pool, deployment.images);
  await fillState(state, device, deployment, tree, { ...request, espUuid: plan.esp.uuid });
  const content = join(device.pool.stagingDirectory, 'esp');
  mkdirSync(content);
  const entry = await makeBootable(content, device, deployment, tree, request);
  await makeEsp(disk, plan.esp, content);
  rmSync(content, { recursive: true });
  await makeCurrent(device, deployment.stack, deployment.id, () => {});
  return { deployment, summary, entry };
}

async function deploy(
  device: DeviceRoot,
  request: FillRequest,
): Promise<{ deployment: Deployment; summary: PullSummary }> {
  const { releases, source, trust, progress, signal, follow, createdAt } = request;
  const job = { pool: device.pool, trust, source, releases, progress };
  const summary = await pull(signal === undefined ? job : { ...job, signal });
  const images = releases.map(({ name, version, image: { digest } }) => ({ name, version, digest }));
  const boot = releases.find((release) => release.boot !== undefined)?.boot;
  const words = releases.flatMap((release) => release.boot?.arguments?.split(/\s+/).filter(Boolean) ?? []);
  const origin: Origin = { url: follow.url[0] ?? '', channel: follow.channel };
  const deployment = await deployImages(device, follow.stack, images, origin, createdAt, {
    arguments: words,
    ...(boot === undefined
      ? {}
      : { boot: { kernel: boot.kernel, ...(boot.initrd === undefined ? {} : { initrd: boot.initrd }) } }),
  });
  return { deployment, summary };
}

/** /var and the other writable directories, and /etc with what this device has of its own. */
async function fillState(
  state: MountedPart,
  device: DeviceRoot,
  { stack, id }: Deployment,
  tree: Tree,
  { configuration, espUuid, follow }: FillRequest & { readonly espUuid: string },
): Promise<void> {
  const table = fileSystemTable(tree, espUuid);
  const openObject: Parameters<typeof prepareEtc>[0]['openObject'] = (digest) => device.pool.openObject(digest);
  await fillWritable({ stateRoot: state.directory, tree, directories: WRITABLE, openObject });
  await prepareEtc({ device, stack, from: undefined, to: { id, tree }, policy: 'merge', openObject });
  const upper = join(device.directory, 'etc', stack, id, 'upper');
  mkdirSync(join(upper, 'osupd'), { recursive: true });
  // An address with a password or a token in it is for root alone.
  const secret = follow.url.some((url) => /^https?:\/\/[^/]*@|\?/i.test(url));
  await writeFileDurably(join(upper, 'osupd/osupd.toml'), configuration, secret ? 0o600 : 0o644);
  await writeFileDurably(join(upper, 'fstab'), table);
}

/** What the ESP is to hold: boot loader and entry, in a directory. The entry is not counted: there is nothing to fall back to, and a counted one would be given up. */
async function makeBootable(
  directory: string,
  device: DeviceRoot,
  deployment: Deployment,
  tree: Tree,
  { words, architecture }: FillRequest,
): Promise<string> {
  const boot = openBootPartition(directory);
  await writeBootLoader(boot, findBootLoader(tree, architecture), architecture, device.pool);
  const entry = await writeBootEntry({
    ...{ device, boot, deployment, title: titleOf(deployment) },
    files: findBootFiles(tree, deployment.boot),
    commandLine: bootArguments(
      deployment,
      { loader: 'systemd-boot', arguments: words, tries: 1 },
      { root: `/${ROOT}` },
    ),
  });
  return entry.file;
}

/** The one architecture that releases have; `any` goes with every other. */
function architectureOf(releases: readonly Release[]): string {
  const found = new Set(releases.map(({ architecture }) => architecture).filter((each) => each !== 'any'));
  const [architecture] = found;
  if (architecture !== undefined && found.size === 1) return architecture;
  throw new OsupdError(
    'unsupported',
    `the releases are for ${found.size === 0 ? 'any architecture' : [...found].join(' and ')}`,
    {
      remedy: 'one of them must say for which architecture the system is: osupd build --arch',
    },
  );
}

/** What the state takes at least. The pull counts exactly, before it fetches. */
function stateBytes(releases: readonly Release[]): number {
  const content = releases.reduce(
    (sum, { image, objects }) => sum + image.size + objects.bytes + objects.count * FILE_OVERHEAD,
    0,
  );
  return FILE_SYSTEM_BYTES + content;
}
