/**
 * Reads composefs dump text into a tree (docs/formats/dump.md). It accepts what `mkcomposefs --from-file` accepts and refuses what
 * would be ambiguous: relative paths, NUL bytes in names, digests that are not digests, numbers that do not fit their field.
 */
import { type ByteString, toText } from '../core/bytes.ts';
import { type Digest, isDigest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import {
  MAX_DUMP_XATTR_TEXT_BYTES,
  MAX_FILE_BYTES,
  MAX_INLINE_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_TREE_DEPTH,
  MAX_TREE_NODES,
} from '../core/limits.ts';
import { unescapeField } from './dump-escape.ts';
import { brokenNameRule, brokenXattrRule } from './rules.ts';
import { type DirectoryNode, type Entry, type Time, type Tree, type TreeNode, TYPE_BITS } from './tree.ts';

export interface ParseDumpOptions {
  /**
   * Also refuse what composefs refuses with CFS_PARSE_STRICT: a device number on something that is no device, a symlink whose size is
   * not its target's length or that has content, and a last line without a newline.
   */
  readonly strict?: boolean;
  /** Name of the dump for messages. */
  readonly where?: string;
}

/** The fixed fields of a line, in order. */
const FIELDS = [
  'PATH',
  'SIZE',
  'MODE',
  'NLINK',
  'UID',
  'GID',
  'RDEV',
  'MTIME',
  'PAYLOAD',
  'CONTENT',
  'DIGEST',
] as const;
type Field = (typeof FIELDS)[number];

const SPACE = 0x20;
const NEWLINE = 0x0a;
const MAX_U32 = 2 ** 32 - 1;
const MAX_U64 = 2n ** 64n - 1n;
const TYPE_OF_BITS = new Map<number, TreeNode['type']>(
  Object.entries(TYPE_BITS).map(([type, bits]) => [bits, type as TreeNode['type']]),
);

/** What a hard link's line leaves until all lines are read. */
interface PendingLink {
  readonly directory: DirectoryNode;
  readonly name: ByteString;
  readonly target: ByteString;
  readonly line: number;
}

/**
 * Parses a whole dump.
 * @throws OsupdError `invalid-dump` with facts `rule`, `line` (from 1) and, where one field is at fault, `field`;
 *   `limit-exceeded` for more nodes or levels than core/limits.ts allows.
 */
export function parseDump(bytes: Uint8Array, options: ParseDumpOptions = {}): Tree {
  return new DumpParser(bytes, options).parse();
}

class DumpParser {
  readonly #bytes: Buffer;
  readonly #firstNul: number;
  readonly #strict: boolean;
  readonly #where: string | undefined;
  #line = 0;
  #field: Field | undefined;
  #path: ByteString = '';
  #nodes = 0;
  #root: DirectoryNode | undefined;
  /** Directories by path, for finding parents. */
  readonly #directories = new Map<ByteString, { node: DirectoryNode; depth: number }>();
  readonly #links: PendingLink[] = [];
  readonly #texts: string[] = FIELDS.map(() => '');

  constructor(bytes: Uint8Array, options: ParseDumpOptions) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#firstNul = this.#bytes.indexOf(0);
    this.#strict = options.strict === true;
    this.#where = options.where;
  }

  parse(): Tree {
    const bytes = this.#bytes;
    for (let start = 0; start < bytes.length; ) {
      this.#line++;
      this.#path = '';
      this.#field = undefined;
      let end = bytes.indexOf(NEWLINE, start);
      if (end < 0) {
        if (this.#strict) throw this.#refuse('last line without a newline');
        end = bytes.length;
      }
      this.#parseLine(start, end);
      start = end + 1;
    }
    this.#field = undefined;
    this.#path = '';
    if (this.#root === undefined) throw this.#refuse('no root');
    this.#resolveLinks(this.#root);
    return { root: this.#root };
  }

  #refuse(rule: string, line = this.#line): OsupdError {
    const place =
      line === 0 ? 'the dump' : `line ${line}${this.#path === '' ? '' : ` (${toText(this.#path.slice(0, 200))})`}`;
    const field = this.#field === undefined ? '' : `, field ${this.#field}`;
    return new OsupdError('invalid-dump', `${place}${field}: ${rule}`, {
      ...(this.#where === undefined ? {} : { where: this.#where }),
      facts: { rule, line, ...(this.#field === undefined ? {} : { field: this.#field }) },
    });
  }

  #parseLine(start: number, end: number): void {
    if (this.#firstNul >= start && this.#firstNul < end) throw this.#refuse('NUL byte in a line');
    const rest = this.#splitFields(start, end);
    this.#path = this.#unescaped('PATH');
    const isLink = this.#texts[2]?.startsWith('@') === true;
    const mode = this.#mode(isLink);
    const type = TYPE_OF_BITS.get(mode & 0o170000);
    if (type === undefined) throw this.#refuse('mode without a file type');
    this.#field = 'PATH';
    const place = this.#place(type);
    if (isLink) {
      this.#field = 'MODE';
      if (type === 'directory' || place === undefined) throw this.#refuse('hard link to a directory');
      const target = this.#optional('PAYLOAD');
      if (target === undefined) throw this.#refuse('hard link without a target');
      this.#links.push({ ...place, target, line: this.#line });
      // Keeps the name taken; the link replaces it when its target is known.
      place.directory.children.set(place.name, PLACEHOLDER);
      return;
    }
    const node = this.#node(type, mode & 0o7777, rest, end);
    if (place !== undefined) place.directory.children.set(place.name, node);
    if (node.type !== 'directory') return;
    if (place === undefined) this.#root = node;
    this.#directories.set(place === undefined ? '' : this.#path, {
      node,
      depth: place === undefined ? 0 : place.depth,
    });
  }

  /** Fills #texts with the fixed fields; fields that a line leaves out are empty. Returns where the xattrs start. */
  #splitFields(start: number, end: number): number {
    const bytes = this.#bytes;
    let at = start;
    for (let index = 0; index < FIELDS.length; index++) {
      let space = at < end ? bytes.indexOf(SPACE, at) : -1;
      if (space < 0 || space > end) space = end;
      this.#texts[index] = bytes.toString('latin1', at, space);
      at = Math.min(space + 1, end);
    }
    return at;
  }

  #text(field: Field): string {
    this.#field = field;
    return this.#texts[FIELDS.indexOf(field)] as string;
  }

  #unescaped(field: Field): ByteString {
    return unescapeField(this.#text(field), (rule) => this.#refuse(rule));
  }

  /** A field in which `-` stands for "not set". */
  #optional(field: Field): ByteString | undefined {
    return this.#text(field) === '-' ? undefined : this.#unescaped(field);
  }

  #mode(isLink: boolean): number {
    const text = this.#text('MODE').slice(isLink ? 1 : 0);
    if (!/^[0-7]{1,11}$/.test(text)) throw this.#refuse('mode is not octal');
    // Bits above the 16 that an image has room for are dropped, as composefs does.
    return Number.parseInt(text, 8) & 0xffff;
  }

  #number(field: Field, what: string, limit: number): number {
    const text = this.#text(field);
    if (!/^[0-9]+$/.test(text)) throw this.#refuse(`${what} is not a number`);
    const value = Number(text);
    if (value > limit) throw this.#refuse(`${what} does not fit in 32 bits`);
    return value;
  }

  /** Sizes are 64 bits wide; above 2^53 they lose precision, which only devices and pipes can have and nobody reads. */
  #size(): number {
    const text = this.#text('SIZE');
    if (!/^[0-9]+$/.test(text)) throw this.#refuse('size is not a number');
    const size = Number(text);
    if (size > Number.MAX_SAFE_INTEGER && BigInt(text) > MAX_U64) throw this.#refuse('size does not fit in 64 bits');
    return size;
  }

  #fileSize(size: number): number {
    if (size > MAX_FILE_BYTES || (size === MAX_FILE_BYTES && BigInt(this.#text('SIZE')) > BigInt(MAX_FILE_BYTES)))
      throw this.#refuse('file larger than the format can hold');
    return size;
  }

  /** `seconds.nanoseconds`; seconds may be negative, or that as an unsigned 64-bit number. */
  #mtime(): Time {
    const text = this.#text('MTIME');
    const dot = text.indexOf('.');
    if (dot < 0) throw this.#refuse('mtime without nanoseconds');
    const seconds = text.slice(0, dot);
    const nanoseconds = text.slice(dot + 1);
    if (!/^-?[0-9]{1,20}$/.test(seconds) || !/^[0-9]+$/.test(nanoseconds)) throw this.#refuse('mtime is not a number');
    const value = BigInt(seconds);
    if (value < -(2n ** 63n) || value > MAX_U64) throw this.#refuse('mtime does not fit in 64 bits');
    if (Number(nanoseconds) > 999_999_999) throw this.#refuse('mtime has more than 999999999 nanoseconds');
    return { seconds: BigInt.asIntN(64, value), nanoseconds: Number(nanoseconds) };
  }

  /** Finds the parent of the current line's path; undefined for the root. */
  #place(type: TreeNode['type']): { directory: DirectoryNode; name: ByteString; depth: number } | undefined {
    if (++this.#nodes > MAX_TREE_NODES)
      throw new OsupdError('limit-exceeded', `the dump has more than ${MAX_TREE_NODES} entries`, {
        ...(this.#where === undefined ? {} : { where: this.#where }),
        facts: { limit: 'MAX_TREE_NODES' },
      });
    const path = this.#path;
    if (path === '/') {
      if (type !== 'directory') throw this.#refuse('the root is not a directory');
      if (this.#root !== undefined) throw this.#refuse('a second root');
      return undefined;
    }
    if (path === '') throw this.#refuse('empty path');
    if (path[0] !== '/') throw this.#refuse('path is not absolute');
    if (this.#root === undefined) throw this.#refuse('the first line is not the root');
    if (path.includes('\0')) throw this.#refuse('name holds a NUL');
    this.#path = path.includes('//') ? path.replace(/\/\/+/g, '/') : path;
    const slash = this.#path.lastIndexOf('/');
    const name = this.#path.slice(slash + 1);
    const broken = brokenNameRule(name);
    if (broken !== undefined) throw this.#refuse(broken);
    const parent = this.#directories.get(this.#path.slice(0, slash));
    if (parent === undefined) throw this.#refuse(this.#missingParent(this.#path.slice(0, slash)));
    if (parent.node.children.has(name)) throw this.#refuse('two entries of one name');
    if (parent.depth >= MAX_TREE_DEPTH)
      throw new OsupdError('limit-exceeded', `line ${this.#line}: more than ${MAX_TREE_DEPTH} levels of directories`, {
        ...(this.#where === undefined ? {} : { where: this.#where }),
        facts: { limit: 'MAX_TREE_DEPTH', line: this.#line },
      });
    return { directory: parent.node, name, depth: parent.depth + 1 };
  }

  #missingParent(parent: ByteString): string {
    const slash = parent.lastIndexOf('/');
    const found = this.#directories.get(parent.slice(0, slash))?.node.children.has(parent.slice(slash + 1));
    return found ? 'parent of an entry is not a directory' : 'parent of an entry is absent';
  }

  #node(type: TreeNode['type'], mode: number, xattrStart: number, end: number): TreeNode {
    const size = this.#size();
    const nlink = this.#number('NLINK', 'nlink', MAX_U32);
    const uid = this.#number('UID', 'uid', MAX_U32);
    const gid = this.#number('GID', 'gid', MAX_U32);
    const rdev = this.#number('RDEV', 'rdev', MAX_U32);
    const isDevice = type === 'character' || type === 'block';
    if (this.#strict && rdev !== 0 && !isDevice) throw this.#refuse('device number on something that is no device');
    const mtime = this.#mtime();
    const payload = this.#payload(type);
    const content = this.#content(size, type);
    const digest = this.#digest();
    const xattrs = this.#xattrs(xattrStart, end);
    const common = { mode, uid, gid, nlink, mtime, xattrs };
    switch (type) {
      case 'directory':
        return { type, ...common, children: new Map() };
      case 'file':
        return { type, ...common, ...this.#fileContent(size, payload, content, digest) };
      case 'symlink':
        return { type, ...common, target: this.#target(size, payload, content) };
      case 'character':
      case 'block':
        return { type, ...common, rdev, ...(size === 0 ? {} : { size }) };
      default:
        return { type, ...common, ...(size === 0 ? {} : { size }) };
    }
  }

  #payload(type: TreeNode['type']): ByteString | undefined {
    const payload = this.#optional('PAYLOAD');
    if (payload === undefined) return undefined;
    if (payload.includes('\0')) throw this.#refuse('payload holds a NUL');
    if (payload.length > MAX_PAYLOAD_BYTES)
      throw this.#refuse(`${type === 'symlink' ? 'symlink target' : 'payload'} of 4096 bytes or more`);
    return payload;
  }

  #content(size: number, type: TreeNode['type']): ByteString | undefined {
    const content = this.#optional('CONTENT');
    if (content === undefined) return undefined;
    if (content.length !== size) throw this.#refuse('content length is not the size');
    if (content.length > MAX_INLINE_BYTES && type !== 'symlink')
      throw this.#refuse('inline content longer than 5000 bytes');
    return content;
  }

  #digest(): Digest | undefined {
    const digest = this.#optional('DIGEST')?.toLowerCase();
    if (digest === undefined || digest === '') return undefined;
    if (!isDigest(digest)) throw this.#refuse('digest is not 64 hex digits');
    return digest;
  }

  #fileContent(
    size: number,
    payload: ByteString | undefined,
    content: ByteString | undefined,
    digest: Digest | undefined,
  ): { size: number; content?: Uint8Array; digest?: Digest; payload?: ByteString } {
    if (size === 0) return { size: 0 };
    if (content !== undefined) return { size, content: Buffer.from(content, 'latin1') };
    // Left out (not "-"), a digest of content that is not here would be anybody's guess.
    if (this.#text('DIGEST') === '') throw this.#refuse('digest is not 64 hex digits');
    return {
      size: this.#fileSize(size),
      ...(digest === undefined ? {} : { digest }),
      ...(payload === undefined || payload === '' ? {} : { payload }),
    };
  }

  #target(size: number, payload: ByteString | undefined, content: ByteString | undefined): ByteString {
    this.#field = 'PAYLOAD';
    if (payload === undefined || payload === '') throw this.#refuse('empty symlink target');
    if (this.#strict && size !== payload.length) {
      this.#field = 'SIZE';
      throw this.#refuse("symlink's size is not its target's length");
    }
    if (this.#strict && content !== undefined && content.length > 0) {
      this.#field = 'CONTENT';
      throw this.#refuse('symlink with content');
    }
    return payload;
  }

  #xattrs(start: number, end: number): Map<ByteString, Uint8Array> {
    this.#field = undefined;
    const xattrs = new Map<ByteString, Uint8Array>();
    if (start >= end) return xattrs;
    if (end - start > MAX_DUMP_XATTR_TEXT_BYTES) throw this.#refuse('xattrs of one line longer than 65535 bytes');
    const text = this.#bytes.toString('latin1', start, end);
    const refuse = (rule: string) => this.#refuse(rule);
    for (let at = 0; at < text.length; ) {
      let space = text.indexOf(' ', at);
      if (space < 0) space = text.length;
      const item = text.slice(at, space);
      const equals = item.indexOf('=');
      if (equals < 0) throw this.#refuse("xattr without '='");
      const name = unescapeField(item.slice(0, equals), refuse);
      // Of two with one key the last one counts.
      xattrs.set(name, Buffer.from(unescapeField(item.slice(equals + 1), refuse), 'latin1'));
      at = space + 1;
    }
    const broken = brokenXattrRule(xattrs);
    if (broken !== undefined) throw this.#refuse(broken);
    return xattrs;
  }

  #resolveLinks(root: DirectoryNode): void {
    const byPlace = new Map<DirectoryNode, Map<ByteString, PendingLink>>();
    for (const link of this.#links) {
      const names = byPlace.get(link.directory) ?? new Map<ByteString, PendingLink>();
      byPlace.set(link.directory, names.set(link.name, link));
    }
    for (const link of this.#links) {
      // Follows links to links, at most once through each; those on the way are resolved with it.
      const chain: PendingLink[] = [];
      const seen = new Set<PendingLink>();
      let current = link;
      let target: Exclude<TreeNode, DirectoryNode> | undefined;
      while (target === undefined) {
        if (seen.has(current)) throw this.#refuse('hard links in a circle', link.line);
        seen.add(current);
        chain.push(current);
        const found = this.#find(root, current.target);
        if (found === undefined) throw this.#refuse('hard link target is absent', current.line);
        const next = found.directory === undefined ? undefined : byPlace.get(found.directory)?.get(found.name);
        if (found.entry === PLACEHOLDER && next !== undefined) current = next;
        else if (found.entry.type === 'hardlink') target = found.entry.target;
        else if (found.entry.type === 'directory') throw this.#refuse('hard link to a directory', current.line);
        else target = found.entry;
      }
      for (const { directory, name } of chain) directory.children.set(name, { type: 'hardlink', target });
    }
  }

  #find(
    root: DirectoryNode,
    path: ByteString,
  ): { entry: Entry; directory: DirectoryNode | undefined; name: ByteString } | undefined {
    let entry: Entry = root;
    let directory: DirectoryNode | undefined;
    let last = '';
    for (const name of path.split('/')) {
      if (name === '') continue;
      if (entry.type !== 'directory') return undefined;
      directory = entry;
      last = name;
      const child: Entry | undefined = entry.children.get(name);
      if (child === undefined) return undefined;
      entry = child;
    }
    return { entry, directory, name: last };
  }
}

/** Holds a hard link's name until the link is resolved. */
const PLACEHOLDER: Entry = {
  type: 'fifo',
  mode: 0,
  uid: 0,
  gid: 0,
  nlink: 0,
  mtime: { seconds: 0n, nanoseconds: 0 },
  xattrs: new Map(),
};
