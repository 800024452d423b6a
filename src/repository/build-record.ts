/** `builds/NAME/VERSION.json` in a server's pool: what `osupd build` made, for `osupd repo publish`. */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { isSystemError, OsupdError } from '../core/errors.ts';
import { MAX_IMAGE_BYTES, MAX_TREE_NODES } from '../core/limits.ts';
import { writeFileDurably } from '../sys/durable.ts';
import { encodeDocument, parseDocument } from './json-fields.ts';
import { isName, isVersion, type ReleaseReference } from './layout.ts';
import { EXTRA_FIELDS, isArchitecture, parseReleaseExtras, type ReleaseExtras } from './release.ts';

export interface BuildRecord extends ReleaseExtras {
  readonly schema: 'osupd-build/1';
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly image: { readonly digest: Digest; readonly size: number };
  readonly objects: { readonly count: number; readonly bytes: number };
  /** UTC, `2030-01-31T23:59:59Z`. */
  readonly createdAt: string;
}

const FIELDS = ['schema', 'critical', 'name', 'version', 'architecture', 'image', 'objects', 'createdAt'];

/**
 * Parses a build record.
 * @throws OsupdError `damaged-store`
 */
function parseBuildRecord(bytes: Uint8Array, where: string): BuildRecord {
  const fields = parseDocument(
    bytes,
    'osupd-build/1',
    [...FIELDS, ...EXTRA_FIELDS],
    (what) =>
      new OsupdError('damaged-store', `not a valid build record: ${what}`, {
        where,
        remedy: 'build the release again',
      }),
  );
  const image = fields.object('image');
  const objects = fields.object('objects');
  return {
    schema: 'osupd-build/1',
    name: fields.string('name', isName),
    version: fields.string('version', isVersion),
    architecture: fields.string('architecture', isArchitecture),
    image: { digest: image.digest('digest'), size: image.integer('size', 1, MAX_IMAGE_BYTES) },
    objects: { count: objects.integer('count', 0, MAX_TREE_NODES), bytes: objects.integer('bytes') },
    createdAt: fields.time('createdAt'),
    ...parseReleaseExtras(fields),
  };
}

/**
 * Writes the record of a build; call it when the image and its objects are durable in the pool.
 * @param pool the pool's directory
 */
export async function writeBuildRecord(pool: string, record: BuildRecord): Promise<void> {
  const path = recordPath(pool, record);
  await mkdir(dirname(path), { recursive: true });
  await writeFileDurably(path, encodeDocument(record));
}

/**
 * Reads the record of a build.
 * @throws OsupdError `not-found`, `damaged-store`
 */
export async function readBuildRecord(pool: string, reference: ReleaseReference): Promise<BuildRecord> {
  const path = recordPath(pool, reference);
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
    throw new OsupdError('not-found', `${reference.name}@${reference.version} was not built into this pool`, {
      where: pool,
      remedy: `build it: osupd build SOURCE --name ${reference.name} --version ${reference.version} --pool ${pool}`,
      cause: error,
    });
  }
  const record = parseBuildRecord(bytes, path);
  if (record.name !== reference.name || record.version !== reference.version) {
    throw new OsupdError('damaged-store', `the record is of ${record.name}@${record.version}`, {
      where: path,
      remedy: 'build the release again',
    });
  }
  return record;
}

/**
 * Every build record of a pool, in the order of names and versions.
 * @throws OsupdError `damaged-store` for one that cannot be parsed
 */
export async function* listBuildRecords(pool: string): AsyncGenerator<BuildRecord> {
  for (const name of await listDirectory(join(pool, 'builds'))) {
    for (const file of await listDirectory(join(pool, 'builds', name))) {
      const version = /^(.+)\.json$/.exec(file)?.[1];
      if (version !== undefined && isName(name) && isVersion(version)) yield readBuildRecord(pool, { name, version });
    }
  }
}

async function listDirectory(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) return [];
    throw error;
  }
}

function recordPath(pool: string, { name, version }: ReleaseReference): string {
  return join(pool, 'builds', name, `${version}.json`);
}
