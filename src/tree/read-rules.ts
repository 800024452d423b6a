/** The options of a reader, made ready to be asked about every entry. */
import type { ByteString } from '../core/bytes.ts';
import type { IdMap, ReadOptions } from './content.ts';
import { compileGlobs } from './glob.ts';
import { compareTimes, type Time } from './tree.ts';

export interface ReadRules {
  /** Whether a path (relative to the root, no leading `/`) or a directory above it is left out. */
  excludes(path: ByteString): boolean;
  /** Whether entries with this type are left out. */
  skips(type: string, rdev: number): boolean;
  keepsXattr(name: ByteString): boolean;
  uid(id: number): number;
  gid(id: number): number;
  mtime(time: Time): Time;
}

/** @throws OsupdError `usage` for an exclude pattern that names nothing. */
export function readRules(options: ReadOptions): ReadRules {
  const { clampMtime, owners, skipDevices = false, xattrs = 'all' } = options;
  return {
    excludes: compileGlobs(options.exclude ?? []),
    skips: (type, rdev) => skipDevices && (type === 'block' || (type === 'character' && rdev !== 0)),
    keepsXattr: (name) => xattrs === 'all' || (xattrs === 'user' && name.startsWith('user.')),
    uid: (id) => mapId(owners?.uids, id),
    gid: (id) => mapId(owners?.gids, id),
    mtime: (time) => (clampMtime !== undefined && compareTimes(time, clampMtime) > 0 ? clampMtime : time),
  };
}

function mapId(map: IdMap | undefined, id: number): number {
  if (map === undefined) return id;
  if (typeof map === 'number') return map;
  const range = map.find(({ from, count }) => id >= from && id < from + count);
  return range === undefined ? id : range.to + (id - range.from);
}
