/** From directories and archives to a metadata image in a pool: what `osupd build` does. */
import { realpathSync } from 'node:fs';
import { relative } from 'node:path';
import { fromText } from '../core/bytes.ts';
import { type Digest, objectName } from '../core/digest.ts';
import { OsupdError, toOsupdError } from '../core/errors.ts';
import { noProgress } from '../core/progress.ts';
import { fsverityDigest } from '../objects/fsverity.ts';
import type { Amount, ObjectBatch } from '../objects/ingest.ts';
import { stopIfAborted } from '../tree/content.ts';
import { compileGlobs } from '../tree/glob.ts';
import { applyLayer } from '../tree/layers.ts';
import { type DirectoryOptions, readDirectory } from '../tree/read-directory.ts';
import { readTar } from '../tree/read-tar.ts';
import { objectsOf } from '../tree/references.ts';
import { type FileNode, type Tree, walk } from '../tree/tree.ts';
import { type EncodeOptions, encodeImage } from './write.ts';

/** A base, or a layer on what comes before it. */
export type BuildSource =
  | { readonly kind: 'directory'; readonly path: string }
  /** An archive, plain or compressed; `path` is its name for messages. */
  | { readonly kind: 'tar'; readonly path: string; readonly open: () => AsyncIterable<Uint8Array> };

export type BuildOptions = DirectoryOptions & EncodeOptions;

export interface Build {
  readonly digest: Digest;
  /** The image. */
  readonly bytes: Buffer;
  readonly tree: Tree;
  /** Distinct objects that the image names. */
  readonly objects: Amount;
  /** Those of them that were not in the pool before. */
  readonly added: Amount;
}

/** Files that are on their way to the pool at a time: enough to group small ones, for any number of threads. */
const FILES_AT_ONCE = 512;

/**
 * Reads the sources, the first as base and each other one as a layer on it, stores contents and image in the batch's pool.
 * The batch stays open; image and objects are durable when this returns.
 * @throws OsupdError `usage` when a directory holds the pool; `invalid-tree` with facts `rule` and `path`; what the readers throw, naming the file.
 */
export async function buildImage(
  sources: readonly BuildSource[],
  batch: ObjectBatch,
  options: BuildOptions,
): Promise<Build> {
  const before = { ...batch.added };
  const tree = await readSources(sources, batch, options);
  refuseStubNames(tree);
  await storeContents(tree, batch, options);
  // The objects go to disk while the image is made.
  const committed = batch.flush();
  const bytes = encodeImage(tree, options);
  const digest = fsverityDigest(bytes);
  await committed;
  await batch.pool.addImage(bytes, digest);
  const added = { count: batch.added.count - before.count, bytes: batch.added.bytes - before.bytes };
  return { digest, bytes, tree, objects: amountOf(tree), added };
}

async function readSources(sources: readonly BuildSource[], batch: ObjectBatch, options: BuildOptions): Promise<Tree> {
  const store = { put: (content: AsyncIterable<Uint8Array>, size: number) => batch.add(content, size) };
  let tree: Tree | undefined;
  for (const source of sources) {
    if (source.kind === 'tar') {
      tree = await readTar(source.open(), { ...options, base: tree, store, where: source.path });
    } else {
      refusePoolInside(source.path, batch.pool.directory, options.exclude);
      const layer = await readDirectory(source.path, options);
      tree = tree === undefined ? layer : applyLayer(tree, layer, source.path);
    }
  }
  if (tree === undefined) throw new OsupdError('usage', 'nothing to build from');
  return tree;
}

/** A pool that were part of its own images would make each build of a tree another image, and a larger one. */
function refusePoolInside(source: string, pool: string, exclude: readonly string[] = []): void {
  const inside = relative(realPath(source), realPath(pool));
  if (/^\.\.(\/|$)/.test(inside) || (inside !== '' && compileGlobs(exclude)(fromText(inside)))) return;
  throw new OsupdError('usage', 'the pool is in a directory that the image is made of', {
    where: pool,
    remedy: inside === '' ? 'name another pool' : `name a pool elsewhere, or leave it out with --exclude ${inside}`,
  });
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw toOsupdError(error, path);
  }
}

/**
 * Two lower-case hexadecimal digits are the names of the 256 whiteouts in the root of every image, which hide the pool's
 * directories on old kernels. In a stack they would hide such a name of a lower image.
 */
function refuseStubNames(tree: Tree): void {
  for (const name of tree.root.children.keys()) {
    if (!/^[0-9a-f]{2}$/.test(name)) continue;
    throw new OsupdError('invalid-tree', 'a name of two hexadecimal digits in the root would be hidden in a stack', {
      where: `/${name}`,
      remedy: `rename it, or leave it out with --exclude ${name}`,
      facts: { rule: 'root-stub-name', path: `/${name}` },
    });
  }
}

/** Takes every file that is still elsewhere on this machine into the pool, on all cores. */
async function storeContents(tree: Tree, batch: ObjectBatch, options: BuildOptions): Promise<void> {
  const files: FileNode[] = [];
  let total = 0;
  for (const { entry } of walk(tree)) {
    if (entry.type !== 'file' || entry.size === 0 || entry.content !== undefined) continue;
    if (entry.digest === undefined) {
      files.push(entry);
      total += entry.size;
    } else {
      entry.payload = objectName(entry.digest);
    }
  }
  const { signal, progress = noProgress } = options;
  const step = 'store objects';
  progress({ kind: 'start', step, total, unit: 'bytes' });
  const waiting = files.values();
  let done = 0;
  const storeNext = async () => {
    for (const file of waiting) {
      stopIfAborted(signal);
      await storeFile(file, batch);
      done += file.size;
      progress({ kind: 'advance', step, done });
    }
  };
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, storeNext));
  progress({ kind: 'finish', step, done });
}

async function storeFile(file: FileNode, batch: ObjectBatch): Promise<void> {
  const { source, sourceStat } = file;
  if (source === undefined || sourceStat === undefined)
    throw new OsupdError('internal', 'a file has neither content nor a source');
  file.digest = await batch.addFile(source, sourceStat);
  file.payload = objectName(file.digest);
}

function amountOf(tree: Tree): Amount {
  const objects = objectsOf(tree);
  return { count: objects.length, bytes: objects.reduce((sum, { size }) => sum + size, 0) };
}
