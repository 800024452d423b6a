/** Reads a tree form: rebuilds the tree from it and the old tree. Every number in it is checked; docs/formats/delta.md. */
import type { ByteString } from '../../core/bytes.ts';
import { type Digest, digestFromBytes } from '../../core/digest.ts';
import {
  MAX_FILE_BYTES,
  MAX_INLINE_BYTES,
  MAX_NAME_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_SYMLINK_BYTES,
  MAX_TREE_FORM_XATTRS,
  MAX_TREE_NODES,
} from '../../core/limits.ts';
import { type Entry, type FileNode, type Time, type Tree, type TreeNode, TYPE_BITS } from '../../tree/tree.ts';
import { damagedDelta } from '../damage.ts';
import { readSigned } from '../signed.ts';
import * as column from './columns.ts';
import {
  BLANK,
  DepthGuess,
  deviceOf,
  digestsOf,
  type FlatEntry,
  flatten,
  LinkTargets,
  oddityOf,
  usualPayload,
} from './entries.ts';
import { modeField, type Owner, ownerField, timeField, type Xattrs, xattrsField } from './fields.ts';
import { readRuns } from './runs.ts';
import { TableReader } from './tables.ts';
import { TreeBuilder } from './tree-builder.ts';
import type { TreeForm } from './write-tree.ts';

/** The tree that `form` describes; `base` must be the tree that it was written against. @throws OsupdError `damaged-delta`. */
export function readTreeForm(form: TreeForm, base?: Tree): Tree {
  const old = base === undefined ? [] : flatten(base);
  const columns = column.splitColumns(form.columns);
  const count = columns.counts.varint('the number of entries');
  if (count === 0 || count > MAX_TREE_NODES) throw damagedDelta(`a tree of ${count} entries`);
  const matches = readRuns(columns.runs, count, old.length);
  const tree = new TreeBuilder(new LinkTargets(old, matches));
  const reader = new EntryReader(columns, form.digests, old, tree);
  for (let number = 0; number < count; number++) reader.read(old[matches[number]!]);
  reader.finish();
  return tree.finish();
}

/** Fields that every node has. */
type Common = Pick<FileNode, 'mode' | 'uid' | 'gid' | 'nlink' | 'mtime' | 'xattrs'>;

class EntryReader {
  readonly #columns: column.ColumnReaders;
  readonly #tree: TreeBuilder;
  readonly #modes: TableReader<number>;
  readonly #owners: TableReader<Owner>;
  readonly #times: TableReader<Time>;
  readonly #xattrs: TableReader<Xattrs>;
  readonly #known: Digest[];
  readonly #digests: Uint8Array;
  #digestsRead = 0;
  #xattrsRead = 0;
  readonly #depths = new DepthGuess();
  /** Continued entries without any difference still to come before one with some. */
  #gap: number;

  constructor(columns: column.ColumnReaders, digests: Uint8Array, old: readonly FlatEntry[], tree: TreeBuilder) {
    this.#columns = columns;
    this.#tree = tree;
    this.#modes = new TableReader(modeField, columns, old);
    this.#owners = new TableReader(ownerField, columns, old);
    this.#times = new TableReader(timeField, columns, old);
    this.#xattrs = new TableReader(xattrsField, columns, old);
    this.#known = digestsOf(old);
    this.#digests = digests;
    this.#gap = this.#readGap();
  }

  /** Reads the next entry. @param old the one that it continues. */
  read(old: FlatEntry | undefined): void {
    const before = old ?? BLANK;
    const mask = this.#readMask(old);
    const mode = this.#modes.read(mask, before.entry);
    const type = typeOf(mode);
    if (old !== undefined && type !== old.entry.type) throw damagedDelta('an entry continues one of another type');
    const name = mask & column.NAME_BIT ? column.readText(this.#columns.names, MAX_NAME_BYTES, 'a name') : before.name;
    const correction = mask & column.DEPTH_BIT ? readSigned(this.#columns.depths, 'a depth') : 0;
    const depth = this.#depths.expected(old) + correction;
    this.#depths.note(old, depth, type === 'directory');
    if (type === 'hardlink') this.#readLink(name, depth, mask);
    else this.#tree.addNode(name, depth, this.#readNode(type, mode & 0o7777, mask, before));
  }

  /** Everything must be used up. */
  finish(): void {
    if (this.#digestsRead !== this.#digests.length) throw damagedDelta('the tree form has digests left over');
    if (this.#gap !== Number.POSITIVE_INFINITY) throw damagedDelta('the tree form ends in the middle of a gap');
    column.expectAllRead(this.#columns);
  }

  #readGap(): number {
    const { gaps } = this.#columns;
    return gaps.remaining === 0 ? Number.POSITIVE_INFINITY : gaps.varint('a gap');
  }

  #readMask(old: FlatEntry | undefined): number {
    if (old !== undefined && this.#gap-- > 0) return 0;
    if (old !== undefined) this.#gap = this.#readGap();
    return this.#columns.masks.u8('a mask');
  }

  #readLink(name: ByteString, depth: number, mask: number): void {
    if ((mask & ~(column.NAME_BIT | column.DEPTH_BIT | column.CONTENT_BIT | modeField.bit)) !== 0)
      throw damagedDelta('a further name of a file has fields of its own');
    this.#tree.addLink(name, depth, mask & column.CONTENT_BIT ? readSigned(this.#columns.numbers, 'a link') : 0);
  }

  #readNode(type: TreeNode['type'], mode: number, mask: number, before: FlatEntry): TreeNode {
    const common: Common = {
      mode,
      ...this.#owners.read(mask, before.entry),
      nlink: 1,
      mtime: this.#times.read(mask, before.entry),
      xattrs: this.#readXattrs(mask, before.entry),
    };
    const changed = (mask & column.CONTENT_BIT) !== 0;
    if (type === 'directory') {
      if (changed || mask & column.LINKS_BIT) throw damagedDelta('a directory has content');
      return { type, ...common, nlink: 2, children: new Map() };
    }
    const node = this.#readContent(type, common, changed, before.entry);
    const oddity = oddityOf(before);
    let { links, payload } = oddity;
    if (mask & column.LINKS_BIT) ({ links, payload } = this.#readOddity());
    node.nlink += links;
    if (node.type === 'file' && node.size > 0 && node.content === undefined) {
      const path = payload ?? usualPayload(node.digest);
      if (path !== '') node.payload = path;
    }
    return node;
  }

  #readXattrs(mask: number, before: Entry): Map<ByteString, Uint8Array> {
    const xattrs = this.#xattrs.read(mask, before);
    this.#xattrsRead += xattrs.size;
    if (this.#xattrsRead > MAX_TREE_FORM_XATTRS)
      throw damagedDelta(`a tree of more than ${MAX_TREE_FORM_XATTRS} xattrs`);
    return new Map(xattrs);
  }

  #readContent(
    type: Exclude<TreeNode['type'], 'directory'>,
    common: Common,
    changed: boolean,
    before: Entry,
  ): Exclude<TreeNode, { type: 'directory' }> {
    const { numbers, targets } = this.#columns;
    switch (type) {
      case 'file':
        return { type, ...common, ...this.#readFile(changed, before) };
      case 'symlink': {
        const target = changed
          ? column.readText(targets, MAX_SYMLINK_BYTES, 'a link target')
          : before.type === 'symlink'
            ? before.target
            : '';
        if (target === '') throw damagedDelta('a symbolic link without target');
        return { type, ...common, target };
      }
      default: {
        const { rdev, size } = changed
          ? { rdev: numbers.varint('a device number'), size: numbers.varint('a size') }
          : deviceOf(before);
        if (rdev > 0xffffffff) throw damagedDelta('a device number is out of range');
        const odd = size === 0 ? {} : { size };
        return type === 'fifo' || type === 'socket' ? { type, ...common, ...odd } : { type, ...common, rdev, ...odd };
      }
    }
  }

  #readFile(changed: boolean, before: Entry): Pick<FileNode, 'size' | 'content' | 'digest'> {
    const old: Pick<FileNode, 'size' | 'content' | 'digest'> = before.type === 'file' ? before : { size: 0 };
    if (!changed) {
      if (old.size === 0) return { size: 0 };
      if (old.content !== undefined) return { size: old.size, content: old.content };
      return { size: old.size, ...(old.digest === undefined ? {} : { digest: old.digest }) };
    }
    const { sizes, contents, inline } = this.#columns;
    const size = sizes.varint('a size');
    if (size > MAX_FILE_BYTES) throw damagedDelta(`a file of ${size} bytes`);
    if (size === 0) return { size };
    const code = contents.varint('a content code');
    if (code === column.CONTENT_CODE.none) return { size };
    if (code === column.CONTENT_CODE.new) return { size, digest: this.#readDigest() };
    if (code === column.CONTENT_CODE.inline) {
      if (size > MAX_INLINE_BYTES) throw damagedDelta(`inline content of ${size} bytes`);
      return { size, content: Uint8Array.from(inline.take(size, 'inline content')) };
    }
    const digest = this.#known[code - column.CONTENT_CODE.known];
    if (digest === undefined) throw damagedDelta('a content code names a digest that is not there');
    return { size, digest };
  }

  #readDigest(): Digest {
    const bytes = this.#digests.subarray(this.#digestsRead, this.#digestsRead + 32);
    if (bytes.length < 32) throw damagedDelta('the tree form lacks a digest');
    this.#digestsRead += 32;
    const digest = digestFromBytes(bytes);
    this.#known.push(digest);
    return digest;
  }

  #readOddity(): { links: number; payload: ByteString | undefined } {
    const links = readSigned(this.#columns.links, 'a link count');
    const hasPayload = this.#columns.links.varint('a payload code');
    if (hasPayload > 1) throw damagedDelta(`a payload code ${hasPayload}`);
    if (hasPayload === 0) return { links, payload: undefined };
    return { links, payload: column.readText(this.#columns.targets, MAX_PAYLOAD_BYTES, 'the path of an object') };
  }
}

const TYPES = new Map<number, TreeNode['type']>(
  Object.entries(TYPE_BITS).map(([type, bits]) => [bits, type as TreeNode['type']]),
);

function typeOf(mode: number): TreeNode['type'] | 'hardlink' {
  if (mode === 0) return 'hardlink';
  const type = TYPES.get(mode & 0o170000);
  if (type === undefined) throw damagedDelta(`a mode ${mode.toString(8)} of no file type`);
  return type;
}
