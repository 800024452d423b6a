/**
 * Reads composefs dump text into a tree (docs/formats/dump.md). It takes what `mkcomposefs --from-file` takes, but for what would be
 * ambiguous: relative paths, NUL bytes in names, digests that are not digests, numbers that do not fit their field.
 */
import type { ByteString } from '../core/bytes.ts';
import { OsupdError } from '../core/errors.ts';
import {
  MAX_DUMP_BYTES,
  MAX_FILE_BYTES,
  MAX_INLINE_BYTES,
  MAX_TREE_DEPTH,
  MAX_TREE_NODES,
  MAX_TREE_XATTRS,
} from '../core/limits.ts';
import { DumpLine } from './dump-line.ts';
import { DumpLinks } from './dump-links.ts';
import { brokenNameRule } from './rules.ts';
import { type DirectoryNode, type FileNode, type Tree, type TreeNode, TYPE_BITS } from './tree.ts';

export interface ParseDumpOptions {
  /**
   * Also refuse what composefs refuses with CFS_PARSE_STRICT: a device number on something that is no device, a symlink whose size is
   * not its target's length or that has content, and a last line without a newline.
   */
  readonly strict?: boolean;
  /** Name of the dump for messages. */
  readonly where?: string;
}

const NEWLINE = 0x0a;
const TYPE_OF_BITS = new Map<number, TreeNode['type']>(
  Object.entries(TYPE_BITS).map(([type, bits]) => [bits, type as TreeNode['type']]),
);

/**
 * Parses a whole dump.
 * @throws OsupdError `invalid-dump` with facts `rule`, `line` (from 1) and, where one field is at fault, `field`;
 *   `limit-exceeded` for more nodes or levels of directories than core/limits.ts allows.
 */
export function parseDump(bytes: Uint8Array, options: ParseDumpOptions = {}): Tree {
  return new DumpParser(bytes, options).parse();
}

/** Where an entry goes. */
interface Place {
  readonly directory: DirectoryNode;
  readonly name: ByteString;
  readonly depth: number;
  /** The whole path, with single slashes. */
  readonly path: ByteString;
}

class DumpParser {
  readonly #bytes: Buffer;
  readonly #line: DumpLine;
  readonly #links: DumpLinks;
  readonly #strict: boolean;
  readonly #where: string | undefined;
  #root: DirectoryNode | undefined;
  #xattrs = 0;
  /** Directories by path (the root: empty), to find parents. */
  readonly #directories = new Map<ByteString, { readonly node: DirectoryNode; readonly depth: number }>();

  constructor(bytes: Uint8Array, options: ParseDumpOptions) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#where = options.where;
    this.#line = new DumpLine(this.#bytes, options.where);
    this.#links = new DumpLinks((rule, line) => this.#line.refuseLine(rule, line));
    this.#strict = options.strict === true;
  }

  parse(): Tree {
    const bytes = this.#bytes;
    if (bytes.length > MAX_DUMP_BYTES) throw this.#limit('MAX_DUMP_BYTES', `${MAX_DUMP_BYTES} bytes`);
    const nul = bytes.indexOf(0);
    for (let start = 0; start < bytes.length; ) {
      const newline = bytes.indexOf(NEWLINE, start);
      const end = newline < 0 ? bytes.length : newline;
      this.#line.next(start, end);
      if (newline < 0 && this.#strict) throw this.#line.refuse('last line without a newline');
      if (nul >= start && nul < end) throw this.#line.refuse('NUL byte in a line');
      if (this.#line.number > MAX_TREE_NODES) throw this.#limit('MAX_TREE_NODES', `${MAX_TREE_NODES} entries`);
      this.#addLine();
      start = end + 1;
    }
    if (this.#root === undefined) throw this.#line.refuseLine('no root', 0);
    this.#links.resolve(this.#root);
    return { root: this.#root };
  }

  #limit(limit: string, what: string): OsupdError {
    const line = this.#line.number;
    return new OsupdError('limit-exceeded', `${line === 0 ? '' : `line ${line}: `}more than ${what}`, {
      ...(this.#where === undefined ? {} : { where: this.#where }),
      facts: { limit, line },
    });
  }

  #addLine(): void {
    const line = this.#line;
    const path = line.path();
    if (path === '') throw line.refuse('empty path', 'PATH');
    const mode = line.mode();
    const type = TYPE_OF_BITS.get(mode & 0o170000);
    if (type === undefined) throw line.refuse('mode without a file type', 'MODE');
    const place = this.#place(path, type);
    if (line.isLink) {
      if (place === undefined || type === 'directory') throw line.refuse('hard link to a directory', 'MODE');
      this.#links.add(place.directory, place.name, line.linkTarget(), line.number);
      return;
    }
    const node = this.#node(type, mode & 0o7777);
    place?.directory.children.set(place.name, node);
    if (node.type !== 'directory') return;
    if (place === undefined) this.#root = node;
    this.#directories.set(place?.path ?? '', { node, depth: place?.depth ?? 0 });
  }

  /** Finds the parent of a path; undefined for the root. */
  #place(given: ByteString, type: TreeNode['type']): Place | undefined {
    const line = this.#line;
    if (given === '/') {
      if (type !== 'directory') throw line.refuse('the root is not a directory', 'MODE');
      if (this.#root !== undefined) throw line.refuse('a second root', 'PATH');
      return undefined;
    }
    if (!given.startsWith('/')) throw line.refuse('path is not absolute', 'PATH');
    if (this.#root === undefined) throw line.refuse('the first line is not the root', 'PATH');
    const path = given.includes('//') ? given.replace(/\/\/+/g, '/') : given;
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    const broken = brokenNameRule(name);
    if (broken !== undefined) throw line.refuse(broken, 'PATH');
    const parent = this.#directories.get(path.slice(0, slash));
    if (parent === undefined) throw line.refuse(this.#missing(path.slice(0, slash)), 'PATH');
    if (parent.node.children.has(name)) throw line.refuse('two entries of one name', 'PATH');
    if (type === 'directory' && parent.depth >= MAX_TREE_DEPTH)
      throw this.#limit('MAX_TREE_DEPTH', `${MAX_TREE_DEPTH} levels of directories`);
    return { directory: parent.node, name, depth: parent.depth + 1, path };
  }

  /** Why there is no directory at a path. */
  #missing(path: ByteString): string {
    const slash = path.lastIndexOf('/');
    const isThere = this.#directories.get(path.slice(0, slash))?.node.children.has(path.slice(slash + 1)) === true;
    return isThere ? 'parent of an entry is not a directory' : 'parent of an entry is absent';
  }

  #node(type: TreeNode['type'], mode: number): TreeNode {
    const line = this.#line;
    const size = line.size();
    const nlink = line.number32('NLINK');
    const uid = line.number32('UID');
    const gid = line.number32('GID');
    const rdev = line.number32('RDEV');
    if (this.#strict && rdev !== 0 && type !== 'character' && type !== 'block')
      throw line.refuse('device number on something that is no device', 'RDEV');
    const mtime = line.mtime();
    const payload = line.payload(type === 'symlink' ? 'symlink target' : 'payload');
    const content = line.content();
    if (content !== undefined && content.length !== size)
      throw line.refuse('content length is not the size', 'CONTENT');
    if (content !== undefined && content.length > MAX_INLINE_BYTES && type !== 'symlink')
      throw line.refuse('inline content longer than 5000 bytes', 'CONTENT');
    const digest = line.digest();
    const xattrs = line.xattrs();
    this.#xattrs += xattrs.size;
    if (this.#xattrs > MAX_TREE_XATTRS) throw this.#limit('MAX_TREE_XATTRS', `${MAX_TREE_XATTRS} xattrs`);
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

  #fileContent(
    size: number,
    payload: ByteString | undefined,
    content: ByteString | undefined,
    digest: FileNode['digest'],
  ): Pick<FileNode, 'size' | 'content' | 'digest' | 'payload'> {
    if (size === 0) return { size };
    if (content !== undefined) return { size, content: Buffer.from(content, 'latin1') };
    if (size > MAX_FILE_BYTES) throw this.#line.refuse('file larger than the format can hold', 'SIZE');
    // Left out (not "-"), the digest of content that is not here would be anybody's guess.
    if (this.#line.isEmpty('DIGEST')) throw this.#line.refuse('digest is not 64 hex digits', 'DIGEST');
    return {
      size,
      ...(digest === undefined ? {} : { digest }),
      ...(payload === undefined || payload === '' ? {} : { payload }),
    };
  }

  #target(size: number, payload: ByteString | undefined, content: ByteString | undefined): ByteString {
    const line = this.#line;
    if (payload === undefined || payload === '') throw line.refuse('empty symlink target', 'PAYLOAD');
    if (this.#strict && size !== payload.length) throw line.refuse("symlink's size is not its target's length", 'SIZE');
    if (this.#strict && content !== undefined && content !== '') throw line.refuse('symlink with content', 'CONTENT');
    return payload;
  }
}
