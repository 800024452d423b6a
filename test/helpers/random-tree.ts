/** Arbitrary trees for property tests: all types, odd names, shared xattrs, whiteouts, hard links. Directories have the link count they must have. */
import fc from 'fast-check';
import type { ByteString } from '../../src/core/bytes.ts';
import type { Digest } from '../../src/core/digest.ts';
import type { DirectoryNode, Entry, HardLink, Tree } from '../../src/tree/tree.ts';

const digits = '0123456789abcdef'.split('');

/** Bytes as a byte string; never a NUL or a slash. */
const nameByte = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...'abcxyz.-_0 =\\'.split('')) },
  fc.integer({ min: 1, max: 255 }).map((byte) => (byte === 0x2f ? 'x' : String.fromCharCode(byte))),
);

function byteString(minLength: number, maxLength: number): fc.Arbitrary<ByteString> {
  return fc.string({ unit: nameByte, minLength, maxLength });
}

const name = fc
  .oneof(
    { weight: 8, arbitrary: byteString(1, 12) },
    { weight: 1, arbitrary: byteString(200, 255) },
    {
      weight: 1,
      arbitrary: fc.tuple(fc.constantFrom(...digits), fc.constantFrom(...digits)).map((two) => two.join('')),
    },
  )
  .filter((text) => text !== '.' && text !== '..');

const bytes = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength));

const xattr = fc.oneof(
  fc.constantFrom<[string, Buffer]>(
    ['security.selinux', Buffer.from('system_u:object_r:usr_t:s0\0')],
    ['user.shared', Buffer.from('value')],
    ['system.posix_acl_access', Buffer.from('020000000100060004000400', 'hex')],
  ),
  fc.tuple(
    fc
      .tuple(
        fc.constantFrom('user.', 'trusted.', 'security.', 'trusted.overlay.', 'user.overlay.', 'odd.', ''),
        byteString(1, 20),
      )
      .map((parts) => parts.join('')),
    bytes(60),
  ),
);

const common = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.constantFrom(0, 0, 1000, 65535, 65536, 2 ** 32 - 1),
  gid: fc.constantFrom(0, 0, 65536),
  nlink: fc.constantFrom(1, 1, 2, 65536),
  mtime: fc.record({
    seconds: fc.oneof(fc.constant(1_700_000_000n), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
    nanoseconds: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 999_999_999 })),
  }),
  xattrs: fc.array(xattr, { maxLength: 4 }).map((items) => new Map(items)),
});

const digest = fc
  .string({ unit: fc.constantFrom(...digits), minLength: 64, maxLength: 64 })
  .map((text) => text as Digest);

const content = fc.oneof(
  fc.constant({ size: 0 }),
  fc
    .oneof(
      fc.uint8Array({ minLength: 1, maxLength: 80 }),
      fc.constantFrom(2047, 2048, 2049, 4096, 5000).map((size) => new Uint8Array(size).fill(size)),
    )
    .map((array) => ({ size: array.length, content: Buffer.from(array) })),
  fc
    .record({
      size: fc.constantFrom(1, 4096, 4097, 2 ** 32 - 1, 2 ** 32, 2 ** 43 + 1, 2 ** 52),
      digest: fc.option(digest, { nil: undefined }),
      payload: fc.option(byteString(1, 70), { nil: undefined }),
    })
    .map(({ size, digest: named, payload }) => ({
      size,
      ...(named === undefined ? {} : { digest: named }),
      ...(payload === undefined ? {} : { payload }),
    })),
);

const leaf: fc.Arbitrary<Exclude<Entry, DirectoryNode | HardLink>> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(common, content).map(([fields, more]) => ({ type: 'file' as const, ...fields, ...more })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(common, fc.oneof(byteString(1, 40), byteString(3900, 4095)))
      .map(([fields, target]) => ({ type: 'symlink' as const, ...fields, target })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(common, fc.constantFrom('character' as const, 'block' as const), fc.constantFrom(0, 1, 259, 2 ** 32 - 1))
      .map(([fields, type, rdev]) => ({ type, ...fields, rdev })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(common, fc.constantFrom('fifo' as const, 'socket' as const))
      .map(([fields, type]) => ({ type, ...fields })),
  },
);

interface Plan {
  readonly name: ByteString;
  readonly entry: Exclude<Entry, HardLink>;
  /** Which directory takes it, and whether a hard link to an earlier file goes there instead. */
  readonly parent: number;
  readonly link: number | undefined;
}

const directoryNode = common.map((fields): DirectoryNode => ({ type: 'directory', ...fields, children: new Map() }));

const plan: fc.Arbitrary<Plan> = fc.record({
  name,
  entry: fc.oneof({ weight: 1, arbitrary: directoryNode }, { weight: 4, arbitrary: leaf }),
  parent: fc.nat(),
  link: fc.option(fc.nat(), { nil: undefined, freq: 8 }),
});

/** A tree of up to `size` entries. */
export function randomTree(size = 40): fc.Arbitrary<Tree> {
  return fc.tuple(directoryNode, fc.array(plan, { maxLength: size })).map(([root, plans]) => buildTree(root, plans));
}

function buildTree(root: DirectoryNode, plans: readonly Plan[]): Tree {
  const directories = [root];
  const files: HardLink['target'][] = [];
  for (const { name: child, entry, parent, link } of plans) {
    const { children } = directories[parent % directories.length] as DirectoryNode;
    if (children.has(child)) continue;
    const target = link === undefined || files.length === 0 ? undefined : files[link % files.length];
    if (target !== undefined) {
      children.set(child, { type: 'hardlink', target });
    } else {
      children.set(child, entry);
      if (entry.type === 'directory') directories.push(entry);
      else files.push(entry);
    }
  }
  for (const directory of directories)
    directory.nlink = 2 + [...directory.children.values()].filter(({ type }) => type === 'directory').length;
  return { root };
}
