/** The names in a pool's `objects/` and `images/`, and the owners and modes of what has them. */
import { lstatSync, readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, isDigest } from '../core/digest.ts';
import { toOsupdError } from '../core/errors.ts';
import type { NamedObject } from './check.ts';
import type { ListedObject } from './check-contents.ts';
import type { Pool } from './pool.ts';
import type { Problem } from './problem.ts';

/** Made by mkfs in the root of every ext file system; `objects/` may be one. */
const LOST_AND_FOUND = 'lost+found';

/** Nobody may execute an object, only its owner may write it, and the owner must be able to read it. */
const FORBIDDEN_MODE = 0o7133;
const OWNER_READ = 0o400;

/** Directories whose contents nobody but the pool's owner may reach: what only root may read in a tree is in them. */
const PRIVATE_DIRECTORIES = ['objects', 'images', 'staging'];
const FORBIDDEN_TO_ALL = 0o077;
const FORBIDDEN_TO_OTHERS = 0o022;
const OWNER_ALL = 0o700;

interface Found {
  readonly problem?: Problem;
  /** An object where it belongs; its content is still to be read. */
  readonly object?: ListedObject;
}

/** Problems with names, owners and modes, and the objects whose contents are to be checked. */
export function* checkNames(pool: Pool, named: ReadonlyMap<Digest, NamedObject>): Generator<Found> {
  const owner = statSync(pool.objectsDirectory).uid;
  for (const path of PRIVATE_DIRECTORIES)
    yield* checkDirectory(join(pool.directory, path), owner, path, FORBIDDEN_TO_ALL);
  for (const prefix of list(pool.objectsDirectory)) {
    const directory = `objects/${prefix.name}`;
    if (prefix.name === LOST_AND_FOUND) continue;
    if (!prefix.isDirectory() || !/^[0-9a-f]{2}$/.test(prefix.name)) {
      yield { problem: strange(directory, prefix.isFile() ? prefix.name : undefined) };
      continue;
    }
    yield* checkDirectory(join(pool.directory, directory), owner, directory, FORBIDDEN_TO_OTHERS);
    for (const { name } of list(join(pool.directory, directory))) {
      const path = `${directory}/${name}`;
      const stat = lstatSync(join(pool.directory, path), { throwIfNoEntry: false });
      const digest = prefix.name + name;
      if (stat === undefined) continue;
      if (!isDigest(digest) || !stat.isFile()) {
        yield { problem: strange(path, stat.isFile() ? name : undefined) };
        continue;
      }
      const images = named.get(digest)?.images ?? [];
      yield* checkAccess(stat, owner, { path, digest, images });
      yield { object: { digest, path, fullPath: join(pool.directory, path), size: stat.size } };
    }
  }
  for (const { name } of list(pool.imagesDirectory)) {
    const path = `images/${name}`;
    const stat = lstatSync(join(pool.directory, path), { throwIfNoEntry: false });
    if (stat === undefined || name === LOST_AND_FOUND) continue;
    if (isDigest(name) && stat.isFile()) yield* checkAccess(stat, owner, { path, digest: name, images: [name] });
    else yield { problem: strange(path, undefined) };
  }
}

function* checkAccess(
  stat: Stats,
  owner: number,
  of: { path: string; digest: Digest; images: readonly Digest[] },
): Generator<Found> {
  const mode = stat.mode & 0o7777;
  if (stat.uid !== owner)
    yield { problem: { type: 'wrong-owner', detail: `the owner is ${stat.uid}, not ${owner}`, ...of } };
  if ((mode & FORBIDDEN_MODE) !== 0 || (mode & OWNER_READ) === 0)
    yield { problem: { type: 'wrong-mode', detail: `the mode is ${octal(mode)}`, ...of } };
}

function* checkDirectory(fullPath: string, owner: number, path: string, forbidden: number): Generator<Found> {
  const stat = statSync(fullPath, { throwIfNoEntry: false });
  if (stat === undefined) return;
  const mode = stat.mode & 0o7777;
  if (stat.uid !== owner)
    yield { problem: { type: 'wrong-owner', path, detail: `the owner is ${stat.uid}, not ${owner}`, images: [] } };
  if ((mode & forbidden) !== 0 || (mode & OWNER_ALL) !== OWNER_ALL)
    yield { problem: { type: 'wrong-mode', path, detail: `the mode is ${octal(mode)}`, images: [] } };
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

/** Something that is not an object in its place; with the `name` of a file, perhaps an object out of its place. */
function strange(path: string, name: string | undefined): Problem {
  if (name !== undefined && isDigest(name)) {
    return { type: 'misplaced-object', path, digest: name, detail: 'nobody looks for the object here', images: [] };
  }
  return { type: 'foreign-file', path, detail: 'this is not of osupd', images: [] };
}

function list(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    throw toOsupdError(error, directory);
  }
}
