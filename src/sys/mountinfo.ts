/** What is mounted where, as this process sees it: /proc/self/mountinfo (proc_pid_mountinfo(5)). */
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { type ByteString, fromText } from '../core/bytes.ts';
import { toOsupdError } from '../core/errors.ts';

export interface MountEntry {
  /** Unique among the mounts that exist; used again after an unmount. */
  readonly id: number;
  readonly parent: number;
  /** The directory of the file system that shows: `/`, or another for a bind mount. */
  readonly root: ByteString;
  /** Absolute path as seen from this process's root directory. */
  readonly mountpoint: ByteString;
  readonly type: string;
  /** What was given as the mount's source: a device, a path, or any name. */
  readonly source: ByteString;
  /** Options of the mount, then those of its file system. */
  readonly options: readonly string[];
}

/** All mounts of this process's mount namespace. */
export function readMounts(): MountEntry[] {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'latin1'));
}

/** @param text of a mountinfo file, as a byte string. Lines that have not its form are left out. */
export function parseMountinfo(text: ByteString): MountEntry[] {
  return text.split('\n').flatMap((line) => {
    const words = line.split(' ');
    // Between the mount's options and the type: any number of optional fields, ended by a lone hyphen.
    const separator = words.indexOf('-', 6);
    const [id, parent, , root, mountpoint, options] = words;
    const [type, source, superOptions] = separator < 0 ? [] : words.slice(separator + 1);
    if (root === undefined || mountpoint === undefined || options === undefined) return [];
    if (type === undefined || source === undefined || superOptions === undefined) return [];
    return {
      id: Number(id),
      parent: Number(parent),
      root: unescapeOctal(root),
      mountpoint: unescapeOctal(mountpoint),
      type,
      source: unescapeOctal(source),
      options: [...options.split(','), ...superOptions.split(',')],
    };
  });
}

/** The kernel writes space, tab, newline, backslash and `#` as three octal digits. */
function unescapeOctal(field: ByteString): ByteString {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/**
 * The mount that a path look-up ends in, and what it covers at the same place, the topmost first. Empty when the directory is
 * no mountpoint.
 * @param path absolute, without symlinks.
 * @throws OsupdError `not-found`, `io` when the directory cannot be opened.
 */
export function mountsAt(path: string): MountEntry[] {
  const top = mountIdOf(path);
  const mounts = new Map(readMounts().map((mount) => [mount.id, mount]));
  const stacked: MountEntry[] = [];
  const place = fromText(path);
  for (let mount = mounts.get(top); mount?.mountpoint === place; mount = mounts.get(mount.parent)) {
    stacked.push(mount);
    // Only the root of the namespace is its own parent.
    if (mount.parent === mount.id) break;
  }
  return stacked;
}

/** The id of the mount that holds a directory; unlike a search by path, it is never that of a mount that is covered. */
function mountIdOf(path: string): number {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      return Number(/^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1]);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw toOsupdError(error, path);
  }
}
