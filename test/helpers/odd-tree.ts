/** Real directories with everything that a file system of Linux can hold, made from a seed. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { type ByteString, fromText, toBytes } from '../../src/core/bytes.ts';
import { setXattr } from '../../src/sys/xattr.ts';

/** What old archive formats cannot hold. */
export interface OddTreeOptions {
  /** Names, targets and paths are short and of letters and digits alone. */
  readonly plainNames?: boolean;
  readonly maxId?: number;
  readonly devices?: boolean;
  /** Times before the epoch. */
  readonly oldTimes?: boolean;
}

/** What a test that calls {@link makeOddTree} asks for: owners, devices and trusted xattrs are root's. */
export const ODD_TREE_NEEDS = ['root', 'mknod', 'mkfifo'];

/** Whole numbers below `limit`, the same for the same seed (mulberry32). */
export function generator(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');

/** Fills an empty directory with about `count` entries. */
export function makeOddTree(root: string, seed: number, count: number, options: OddTreeOptions = {}): void {
  const random = generator(seed);
  const { plainNames = false, maxId = 0xfffffffe, devices = true, oldTimes = true } = options;
  const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T;
  const content = (size: number) => Buffer.from(Array.from({ length: size }, () => random(256)));
  const directories: ByteString[] = [fromText(root)];
  const files: ByteString[] = [];
  const others: ByteString[] = [];

  const name = (): ByteString => {
    if (plainNames) return `n${random(1000)}`;
    const kind = random(8);
    const length = kind === 0 ? 200 + random(56) : 1 + random(12);
    const characters = Array.from({ length }, () => {
      if (kind < 3) return String.fromCharCode(1 + random(255));
      return pick(kind < 5 ? [...' \n\\"\'*\t.-%=:'] : [...'abcXYZ019._-']);
    });
    const text = characters.join('').replaceAll('/', '_');
    return text === '.' || text === '..' ? `${text}x` : text;
  };
  const path = (): ByteString => `${pick(directories)}/${name()}`;

  const makers = [
    () => {
      const at = path();
      mkdirSync(toBytes(at));
      directories.push(at);
    },
    () => {
      const at = path();
      writeFileSync(toBytes(at), content(pick([0, 1, 63, 64, 65, 511, 512, 513, 3000])), { flag: 'wx' });
      files.push(at);
    },
    () => {
      const at = path();
      writeFileSync(toBytes(at), content(random(600)), { flag: 'wx' });
      makeHoles(at);
      files.push(at);
    },
    () => {
      const at = path();
      const target = pick(['a', '../..', '/etc/passwd', plainNames ? 'x' : 'x'.repeat(300), name()]);
      symlinkSync(toBytes(target), toBytes(at));
      others.push(at);
    },
    () => {
      if (files.length > 0) linkSync(toBytes(pick(files)), toBytes(path()));
    },
    () => {
      if (!devices) return;
      const at = path();
      const plain = `${root}/device`;
      if (random(3) === 0) execFileSync('mkfifo', [plain]);
      else execFileSync('mknod', [plain, pick(['c', 'b']), `${random(4096)}`, `${random(1 << 20)}`]);
      // A link, unlike a rename, does not replace what has the name.
      try {
        linkSync(plain, toBytes(at));
      } finally {
        unlinkSync(plain);
      }
      others.push(at);
    },
  ];
  const makeHoles = (at: ByteString) => {
    const fd = openSync(toBytes(at), 'r+');
    for (let pieces = random(4); pieces > 0; pieces--)
      writeSync(fd, content(random(9000)), 0, undefined, random(200_000));
    closeSync(fd);
    if (random(2) === 0) truncateSync(toBytes(at), 200_000 + random(100_000));
  };
  for (let made = 0; made < count; made++) {
    try {
      pick(makers)();
    } catch (error) {
      // Two entries came to have one name, or a path has become too long.
      if (!['EEXIST', 'ENAMETOOLONG'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }

  for (const at of [...files, ...others, ...directories])
    lchownSync(toBytes(at), random(random(3) === 0 ? maxId : 1000), random(1000));
  for (const at of [...files, ...directories]) chmodSync(toBytes(at), random(0o10000) | 0o700);
  const names = ['user.a', 'user.with=sign', 'user.100%', 'user.\xe9', 'trusted.t'];
  for (const at of [...files, ...directories]) if (random(3) === 0) setXattr(at, pick(names), content(random(50)));
  for (const at of files) if (random(5) === 0) setXattr(at, 'security.capability', CAPABILITY);
  for (const at of [...files, ...directories])
    if (random(5) === 0) setXattr(at, 'system.posix_acl_access', acl(random(70_000)));
  for (const at of directories) if (random(4) === 0) setXattr(at, 'system.posix_acl_default', acl(random(70_000)));
  const times = [0, 1_700_000_000, 4_000_000_000, 1_600_000_000.5, ...(oldTimes ? [-1, -1000.25] : [])];
  for (const at of [...files, ...others, ...directories.toReversed()]) {
    // A negative number would be taken for the present.
    const time = new Date(pick(times) * 1000);
    // Others keep the time at which they were made, with its nanoseconds.
    if (random(3) > 0) lutimesSync(toBytes(at), time, time);
  }
}

/** `user::rwx,user:ID:r-x,group::r-x,mask::rwx,other::---` as the kernel stores it. */
function acl(id: number): Buffer {
  const value = Buffer.from(
    '0200000001000700ffffffff020005000000000004000500ffffffff10000700ffffffff20000000ffffffff',
    'hex',
  );
  value.writeUInt32LE(id, 16);
  return value;
}
