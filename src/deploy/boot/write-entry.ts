/** Puts a deployment into the boot menu: its kernel and initrd on the boot partition, then the entry that names them. */
import { OsupdError } from '../../core/errors.ts';
import { FsverityHasher } from '../../objects/fsverity.ts';
import type { Deployment } from '../deployment-files.ts';
import type { DeviceRoot } from '../device.ts';
import { type BootFile, type BootFilesOfImage, isUnifiedKernel } from './boot-files.ts';
import { type BootPartition, OWN_DIRECTORY } from './boot-partition.ts';
import {
  type BootEntry,
  ENTRIES_DIRECTORY,
  type EntryContents,
  type EntryName,
  entryFile,
  formatEntry,
} from './entry.ts';
import { nextGeneration, useGeneration } from './generation.ts';
import { writeGrubMenu } from './grub.ts';
import type { BootArguments } from './kernel-arguments.ts';

export interface EntryRequest {
  readonly device: DeviceRoot;
  readonly boot: BootPartition;
  readonly deployment: Deployment;
  readonly commandLine: BootArguments;
  /** Attempts that the boot loader counts; undefined for a deployment that was good before. */
  readonly tries?: number;
  readonly title: string;
  readonly files: BootFilesOfImage;
  /** Also write the menu for GRUB. */
  readonly grub?: boolean;
}

/** What writing an entry would do. */
export interface EntryPlan {
  readonly entry: BootEntry;
  /** The text of the entry. */
  readonly text: string;
  /** Files that are not on the partition yet. */
  readonly files: readonly { readonly file: BootFile; readonly path: string }[];
  /** Bytes of the partition that it takes, rounded up as FAT does. */
  readonly bytes: number;
}

/** Largest cluster of a FAT: each file may waste so much. */
const CLUSTER_BYTES = 32 << 10;
/** For the entry, GRUB's menu and directories, which are written aside first. */
const SMALL_FILES_BYTES = 8 * CLUSTER_BYTES;

/**
 * Writes what is not there yet, kernel and initrd first, and then the entry; each step is durable before the next one. The new entry
 * is the first of its stack.
 * @throws OsupdError `no-space`, before anything is written, that says how much is missing; `damaged-store`; `io`.
 */
export async function writeBootEntry(request: EntryRequest): Promise<BootEntry> {
  const plan = await planBootEntry(request);
  const missing = plan.bytes - request.boot.freeBytes();
  if (missing > 0) throw noBootSpace(request.boot, plan.bytes, missing);
  await writePlan(request, plan);
  return plan.entry;
}

/** What {@link writeBootEntry} would do; writes nothing, but reads the files that are there. */
export async function planBootEntry(request: EntryRequest): Promise<EntryPlan> {
  const { device, boot, deployment, commandLine, tries, title, files } = request;
  const { kernel, initrd } = files;
  const unified = isUnifiedKernel(kernel);
  const name: EntryName = {
    stack: deployment.stack,
    generation: nextGeneration(device, boot, deployment.stack),
    id: deployment.id,
    ...(tries === undefined ? {} : { left: tries }),
  };
  const contents: EntryContents = {
    title,
    kernel: `/${placeOf(kernel, unified ? 'linux.efi' : 'vmlinuz')}`,
    unified,
    ...(initrd === undefined ? {} : { initrd: `/${placeOf(initrd, 'initrd.img')}` }),
    options: commandLine,
  };
  const wanted = [
    { file: kernel, path: contents.kernel.slice(1) },
    ...(initrd === undefined ? [] : [{ file: initrd, path: contents.initrd?.slice(1) ?? '' }]),
  ];
  const missing: EntryPlan['files'][number][] = [];
  for (const each of wanted) if (!(await isPlaced(boot, each.file, each.path))) missing.push(each);
  const bytes = missing.reduce((sum, { file }) => sum + roundUp(file.size) + CLUSTER_BYTES, SMALL_FILES_BYTES);
  return {
    entry: { ...name, file: entryFile(name), contents },
    text: formatEntry(name, contents),
    files: missing,
    bytes,
  };
}

/** Does what {@link planBootEntry} has said. */
export async function writePlan(
  { device, boot, grub }: EntryRequest,
  { entry, text, files }: EntryPlan,
): Promise<void> {
  for (const { file, path } of files) {
    // What is there under this name is unfinished or damaged.
    boot.removeUnnamed(directoryOf(path));
    if (file.content !== undefined) await boot.writeUnnamed(path, contentOf(file.content));
    else {
      await using object = await device.pool.openObject(file.digest);
      await boot.writeUnnamed(path, object);
    }
    const written = await digestOf(boot, path, file.size);
    if (written !== file.digest) throw notAsItWas(device, file);
  }
  await useGeneration(device, entry.stack, entry.generation);
  boot.writeText(`${ENTRIES_DIRECTORY}/${entry.file}`, text);
  if (grub) writeGrubMenu(boot, boot.entries());
}

/** The error for a partition that is too small. */
export function noBootSpace(boot: BootPartition, needed: number, missing: number): OsupdError {
  return new OsupdError('no-space', `the boot partition needs ${needed} bytes, ${missing} more than it has free`, {
    where: boot.directory,
    remedy: 'remove other systems or files from it, or deployments with osupd undeploy',
    facts: { needed, missing },
  });
}

/** The file of a digest: deployments with the same kernel share it. */
function placeOf({ digest }: BootFile, name: string): string {
  return `${OWN_DIRECTORY}/${digest}/${name}`;
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

/** A file counts as there when an entry names it, which is written after it, and when it has the right content. */
async function isPlaced(boot: BootPartition, { digest, size }: BootFile, path: string): Promise<boolean> {
  const named = boot.entries().some(({ contents }) => contents.kernel === `/${path}` || contents.initrd === `/${path}`);
  return named && boot.sizeOf(path) === size && (await digestOf(boot, path, size)) === digest;
}

async function digestOf(boot: BootPartition, path: string, size: number): Promise<string> {
  const hasher = new FsverityHasher();
  for (const chunk of boot.chunks(path, size)) hasher.update(chunk);
  return hasher.digest();
}

function contentOf(bytes: Uint8Array) {
  return {
    size: bytes.length,
    read: async (offset: number, length: number) => bytes.subarray(offset, offset + length),
  };
}

function notAsItWas(device: DeviceRoot, { digest, path }: BootFile): OsupdError {
  return new OsupdError('damaged-store', `the object of ${path} does not have the content of its name`, {
    where: device.pool.objectPath(digest),
    remedy: 'run osupd fsck --repair',
  });
}

function roundUp(size: number): number {
  return Math.ceil(size / CLUSTER_BYTES) * CLUSTER_BYTES;
}
