/** Small systems and their successors, from seeds; and deltas between their images in real pools. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../../src/core/digest.ts';
import { objectName } from '../../src/core/digest.ts';
import { noProgress } from '../../src/core/progress.ts';
import { applyRecords, type DeltaHead, type DeltaPlan, namedBy, planRecords, readHead } from '../../src/delta/apply.ts';
import { type DeltaImage, type DeltaSummary, writeDelta } from '../../src/delta/write.ts';
import { decodeImage } from '../../src/image/read.ts';
import { encodeImage } from '../../src/image/write.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import { Pool } from '../../src/objects/pool.ts';
import type { ReadRange } from '../../src/transport/source.ts';
import { objectsOf } from '../../src/tree/references.ts';
import type { DirectoryNode, Entry, FileNode, Tree } from '../../src/tree/tree.ts';
import { randomNumbers } from '../helpers/mutate.ts';
import { chunksOf, noise } from '../helpers/pools.ts';
import { common, directory } from '../helpers/trees.ts';

/** What one path is. Hard links name the path of their file. */
export type Item =
  | {
      readonly type: 'file';
      readonly content: Buffer;
      readonly mode: number;
      readonly time: number;
      readonly label: string;
    }
  | { readonly type: 'link'; readonly to: string }
  | { readonly type: 'symlink'; readonly target: string };

/** The things of a system by their paths, without a leading slash; directories follow. */
export type System = ReadonlyMap<string, Item>;

/** Numbers below a limit, the same for the same seed. */
export type Below = (limit: number) => number;

export function below(seed: number): Below {
  const random = randomNumbers(seed);
  return (limit) => Math.floor(random() * limit);
}

const DIRECTORIES = ['bin', 'lib', 'lib/modules/6.1.0-50', 'share/doc', 'etc'];
const ENDINGS = ['', '.so.3', '.ko', '.txt', '.gz', '.conf', '.py', '.h', '.xml'];

/** Content that compresses a little, as programs do. */
function content(next: Below): Buffer {
  const size = [next(64), next(500), next(20_000), next(20_000), 256 << 10][next(12) === 0 ? 4 : next(4)]!;
  const words = noise(4096, next(1 << 30));
  const parts: Buffer[] = [];
  for (let length = 0; length < size; length += 32) {
    const at = next(words.length - 32);
    parts.push(words.subarray(at, at + 32));
  }
  return Buffer.concat(parts).subarray(0, size);
}

function newFile(next: Below): Item {
  return {
    type: 'file',
    content: content(next),
    mode: next(4) === 0 ? 0o755 : 0o644,
    time: 1_700_000_000 + next(3),
    label: next(5) === 0 ? `label ${next(3)}` : '',
  };
}

/** A system of about `count` things. */
export function newSystem(seed: number, count: number): System {
  const next = below(seed);
  const system = new Map<string, Item>();
  for (let number = 0; number < count; number++) {
    const path = `${DIRECTORIES[next(DIRECTORIES.length)]}/thing-${number}${ENDINGS[next(ENDINGS.length)]}`;
    const others = [...system.keys()];
    const kind = others.length === 0 ? 2 : next(10);
    const other = others[next(others.length)] ?? '';
    if (kind === 0) system.set(path, { type: 'symlink', target: `/${other}` });
    else if (kind === 1 && system.get(other)?.type === 'file') system.set(path, { type: 'link', to: other });
    else system.set(path, newFile(next));
  }
  return system;
}

/** The next version of a system: things changed, moved, removed and added, a directory with a version in its name renamed. */
export function nextSystem(before: System, seed: number): System {
  const next = below(seed);
  const system = new Map<string, Item>();
  const moved = new Map<string, string>();
  for (const [path, item] of before) {
    const fate = next(10);
    if (fate === 0) continue;
    const name = fate === 1 ? path.replace(/thing/, 'renamed') : path.replace('6.1.0-50', '6.1.0-56');
    moved.set(path, name);
    if (item.type !== 'file') system.set(name, item);
    else if (fate < 4) system.set(name, { ...item, content: edited(item.content, next) });
    else if (fate === 4) system.set(name, { ...item, mode: item.mode ^ 0o100, time: item.time + 10, label: 'other' });
    else system.set(name, item);
  }
  for (let number = next(6); number > 0; number--) system.set(`share/doc/new-${number}.txt`, newFile(next));
  for (const [path, item] of system) {
    if (item.type !== 'link') continue;
    const to = moved.get(item.to);
    if (to === undefined) system.delete(path);
    else system.set(path, { type: 'link', to });
  }
  return system;
}

function edited(bytes: Buffer, next: Below): Buffer {
  const at = next(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), noise(next(300), next(1000)), bytes.subarray(at + next(100))]);
}

/** A pool in a directory of its own. */
export async function newPool(parent: string): Promise<Pool> {
  return Pool.create(mkdtempSync(join(parent, 'pool-')));
}

/** Builds the image of a system, with its objects, into a pool. */
export async function addSystem(pool: Pool, system: System): Promise<DeltaImage> {
  await using batch = await ObjectBatch.open(pool, { workers: 1 });
  const image = await addImage(batch, await treeOf(system, batch));
  await batch.close();
  return image;
}

async function addImage(batch: ObjectBatch, tree: Tree): Promise<DeltaImage> {
  const bytes = encodeImage(tree);
  const digest = fsverityDigest(bytes);
  await batch.flush();
  await batch.pool.addImage(bytes, digest);
  return { digest, bytes, tree: decodeImage(bytes) };
}

async function treeOf(system: System, batch: ObjectBatch): Promise<Tree> {
  const root = directory({}, { nlink: 2 });
  const files = new Map<string, FileNode>();
  for (const [path, item] of system) if (item.type === 'file') files.set(path, await fileOf(item, batch));
  for (const [path, item] of system) {
    const target = item.type === 'link' ? files.get(item.to)! : undefined;
    if (target !== undefined) target.nlink++;
    place(root, path, target === undefined ? entryOf(item, files.get(path)) : { type: 'hardlink', target });
  }
  return { root };
}

function entryOf(item: Item, file: FileNode | undefined): Entry {
  return item.type === 'symlink' ? { type: 'symlink', ...common(0o777), target: item.target } : file!;
}

async function fileOf({ content, mode, time, label }: Extract<Item, { type: 'file' }>, batch: ObjectBatch) {
  const file: FileNode = { type: 'file', ...common(mode), size: content.length };
  file.mtime = { seconds: BigInt(time), nanoseconds: 0 };
  if (label !== '') file.xattrs.set('user.label', Buffer.from(label));
  if (content.length > 64) {
    file.digest = await batch.add(chunksOf(content, 10_000));
    file.payload = objectName(file.digest);
  } else if (content.length > 0) file.content = content;
  return file;
}

function place(root: DirectoryNode, path: string, entry: Entry): void {
  const parts = path.split('/');
  const name = parts.pop()!;
  let at = root;
  for (const part of parts) {
    let child = at.children.get(part);
    if (child?.type !== 'directory') {
      child = directory({}, { nlink: 2 });
      at.nlink++;
      at.children.set(part, child);
    }
    at = child;
  }
  at.children.set(name, entry);
}

export interface MadeDelta {
  readonly bytes: Buffer;
  readonly summary: DeltaSummary;
  readonly head: DeltaHead;
}

export interface DeltaSides {
  readonly from: readonly DeltaImage[];
  readonly to: readonly DeltaImage[];
}

export async function makeDelta(
  store: Pool,
  { from, to }: DeltaSides,
  options: { effort?: number; workers?: number } = {},
): Promise<MadeDelta> {
  const chunks: Buffer[] = [];
  const summary = await writeDelta({
    from,
    to,
    store,
    out: async (chunk) => void chunks.push(Buffer.from(chunk)),
    effort: 2,
    workers: 1,
    scratch: store.stagingDirectory,
    progress: noProgress,
    ...options,
  });
  const bytes = Buffer.concat(chunks);
  return { bytes, summary, head: readHead(bytes.subarray(0, summary.head.size)) };
}

/** The bytes of images, by digest. */
export function imageBytes(images: readonly DeltaImage[]): Map<Digest, Uint8Array> {
  return new Map(images.map(({ digest, bytes }) => [digest, bytes]));
}

/** Reads ranges of a delta in memory, in chunks that are overwritten afterwards, as a reader may. */
export function readerOf(bytes: Uint8Array, note: (offset: number) => void = () => {}) {
  return async function* ({ offset, length }: ReadRange): AsyncGenerator<Uint8Array> {
    const buffer = Buffer.alloc(777);
    for (let at = offset; at < offset + length; at += buffer.length) {
      const end = Math.min(at + buffer.length, offset + length);
      buffer.set(bytes.subarray(at, end));
      note(end);
      yield buffer.subarray(0, Math.max(0, Math.min(end, bytes.length) - at));
      buffer.fill(0xaa);
    }
  };
}

/** Applies a delta to a pool, without the images. */
export async function applyDelta(
  { bytes, head }: { readonly bytes: Uint8Array; readonly head: DeltaHead },
  from: readonly DeltaImage[],
  pool: Pool,
  note?: (offset: number) => void,
): Promise<{ plan: DeltaPlan; images: Map<Digest, Uint8Array> }> {
  const old = imageBytes(from);
  const images = await head.rebuildImages(old);
  const batch = await ObjectBatch.open(pool, { workers: 1 });
  try {
    const plan = planRecords(head, namedBy(new Map([...old, ...images])), (digest) => batch.has(digest));
    await applyRecords(plan, readerOf(bytes, note), batch, { progress: noProgress });
    return { plan, images };
  } finally {
    await batch.close();
  }
}

/** Copies objects from one pool to another. */
export async function copyObjects(from: Pool, to: Pool, digests: Iterable<Digest>): Promise<void> {
  await using batch = await ObjectBatch.open(to, { workers: 1 });
  for (const digest of digests) {
    await using object = await from.openObject(digest);
    if (!batch.has(digest))
      await batch.addExpected(digest, object.size, chunksOf(await object.read(0, object.size), 1 << 20));
  }
  await batch.close();
}

export function digestsOf(images: readonly DeltaImage[]): Digest[] {
  return [...new Set(images.flatMap(({ tree }) => objectsOf(tree).map(({ digest }) => digest)))];
}

/** All objects of a pool, sorted. */
export async function objectsIn(pool: Pool): Promise<Digest[]> {
  return (await Array.fromAsync(pool.listObjects(), ({ digest }) => digest)).sort();
}
