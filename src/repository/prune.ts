/**
 * `repo prune`: releases leave the signed view first, files that nothing refers to any more follow. A file goes only when it has
 * been without a reference for the grace period, so that nobody who reads the old view is cut off; `.unreferenced.json` remembers
 * since when.
 */
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError, OsupdError } from '../core/errors.ts';
import { MAX_TREE_NODES } from '../core/limits.ts';
import { syncFileSystem, writeFileDurably } from '../sys/durable.ts';
import { contentFiles, type RepositoryContents, readContents, signedFiles } from './contents.ts';
import { encodeDocument, formatTime, parseDocument } from './json-fields.ts';
import { deltaIndexTarget, type ReleaseReference, releaseTarget } from './layout.ts';
import { readPending } from './pending.ts';
import type { Release } from './release.ts';
import { Revision, type RevisionOptions } from './revision.ts';
import { readView } from './view.ts';

export interface PruneOptions extends Omit<RevisionOptions, 'signLater'> {
  /** Releases to remove. */
  readonly remove: readonly ReleaseReference[];
  /** Keep so many releases of each name, the newest, and those that a channel offers; remove the others. */
  readonly keep?: number | undefined;
  /** Seconds that a file stays after nothing refers to it. */
  readonly grace: number;
  /** Only say what would be done. */
  readonly dryRun: boolean;
}

export interface Pruned {
  readonly releases: readonly ReleaseReference[];
  readonly files: number;
  readonly bytes: number;
  /** Files without a reference that stay until their grace period is over. */
  readonly waiting: number;
}

const RECORD = '.unreferenced.json';
const FOLDERS = ['metadata', 'targets', 'images', 'sizes', 'objects', 'deltas'];

/**
 * Removes releases, and files that nothing refers to.
 * @throws OsupdError `not-found` for a release that is not published or a missing key; `usage` for one that a channel offers;
 *   `damaged-repository` when it cannot be told what is referred to; `busy`
 */
export async function pruneRepository(options: PruneOptions): Promise<Pruned> {
  const { directory, dryRun } = options;
  using revision = await Revision.begin(options);
  await refusePending(directory);
  const before = await readContents(directory, revision.view);
  const releases = chooseReleases(before, options);
  if (releases.length > 0 && !dryRun) revision.requireKeys('releases', 'deltas', 'snapshot', 'timestamp');
  const after = without(before, releases);
  for (const reference of releases) revision.removeTarget(releaseTarget(reference));
  for (const [target] of before.indexes) if (!after.indexes.has(target)) revision.removeTarget(target);
  // What is still referred to is found out before anything changes: a damaged repository stays as it is.
  const content = await contentFiles(directory, after);
  if (!dryRun) await revision.commit();
  const signed = signedFiles(await readView(directory));
  return { releases, ...(await sweep(options, content.union(signed))) };
}

/** A pending change refers to files that no view names yet. */
async function refusePending(directory: string): Promise<void> {
  if ((await readPending(directory)).size === 0) return;
  throw new OsupdError('busy', 'a change waits for signatures, and its files must stay', {
    where: directory,
    remedy: 'finish it with osupd repo sign, or drop it with osupd repo sign --discard',
  });
}

function chooseReleases(contents: RepositoryContents, { remove, keep, directory }: PruneOptions): ReleaseReference[] {
  const offered = new Map<string, string>();
  for (const { channel, releases } of contents.channels.values()) {
    for (const [name, { version }] of Object.entries(releases)) offered.set(releaseTarget({ name, version }), channel);
  }
  const chosen = new Map<string, ReleaseReference>();
  for (const reference of remove) {
    const target = releaseTarget(reference);
    const name = `${reference.name}@${reference.version}`;
    if (!contents.releases.has(target))
      throw new OsupdError('not-found', `${name} is not published`, { where: directory });
    const channel = offered.get(target);
    if (channel !== undefined) {
      throw new OsupdError('usage', `channel "${channel}" offers ${name}`, {
        where: directory,
        remedy: 'make the channel offer another version first',
      });
    }
    chosen.set(target, reference);
  }
  if (keep !== undefined) {
    for (const versions of newestFirst(contents.releases.values())) {
      for (const { name, version } of versions.slice(keep)) {
        const target = releaseTarget({ name, version });
        if (!offered.has(target)) chosen.set(target, { name, version });
      }
    }
  }
  return [...chosen.values()];
}

/** The releases of each name, by the time of their builds. */
function newestFirst(releases: Iterable<Release>): Release[][] {
  const byName = Map.groupBy(releases, (release) => release.name);
  const isNewer = (a: Release, b: Release) =>
    b.createdAt.localeCompare(a.createdAt) || b.version.localeCompare(a.version, 'en', { numeric: true });
  return [...byName.values()].map((versions) => versions.sort(isNewer));
}

/** The contents less some releases, and less the indexes of images that no other release has. */
function without(contents: RepositoryContents, removed: readonly ReleaseReference[]): RepositoryContents {
  const gone = new Set(removed.map(releaseTarget));
  const releases = new Map([...contents.releases].filter(([target]) => !gone.has(target)));
  const images = new Set([...releases.values()].map((release) => deltaIndexTarget(release.image.digest)));
  const indexes = new Map([...contents.indexes].filter(([target]) => images.has(target)));
  return { ...contents, releases, indexes };
}

async function sweep(
  { directory, now, grace, dryRun }: PruneOptions,
  referenced: ReadonlySet<string>,
): Promise<Omit<Pruned, 'releases'>> {
  const seen = await readRecord(directory);
  const waiting = new Map<string, string>();
  let files = 0;
  let bytes = 0;
  for await (const path of listFiles(directory)) {
    if (referenced.has(path)) continue;
    const since = seen.get(path) ?? formatTime(now);
    if (now.getTime() - Date.parse(since) < grace * 1000) {
      waiting.set(path, since);
      continue;
    }
    files++;
    bytes += (await stat(join(directory, path))).size;
    if (!dryRun) await rm(join(directory, path));
  }
  if (!dryRun) {
    syncFileSystem(directory);
    if (seen.size > 0 || waiting.size > 0) {
      const record = { schema: 'osupd-unreferenced/1', files: Object.fromEntries(waiting) };
      await writeFileDurably(join(directory, RECORD), encodeDocument(record));
    }
  }
  return { files, bytes, waiting: waiting.size };
}

/** Since when files have no reference, by path. */
async function readRecord(directory: string): Promise<Map<string, string>> {
  const where = join(directory, RECORD);
  let bytes: Buffer;
  try {
    bytes = await readFile(where);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return new Map();
    throw error;
  }
  const bad = (what: string) =>
    new OsupdError('damaged-repository', what, { where, remedy: 'remove the file; grace periods begin anew' });
  const files = parseDocument(bytes, 'osupd-unreferenced/1', ['files'], bad).object('files');
  return new Map(files.names(() => true, MAX_TREE_NODES).map((path) => [path, files.time(path)]));
}

/** Every file of the layout, in byte order; names with a leading dot are not the repository's. */
async function* listFiles(directory: string): AsyncGenerator<string> {
  const stack = [...FOLDERS].reverse();
  for (let path = stack.pop(); path !== undefined; path = stack.pop()) {
    const entries = await readdir(join(directory, path), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? 1 : -1))) {
      if (entry.name.startsWith('.')) continue;
      if (entry.isDirectory()) stack.push(`${path}/${entry.name}`);
      else if (entry.isFile()) yield `${path}/${entry.name}`;
    }
  }
}
