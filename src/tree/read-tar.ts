/** Reads a tar stream as a tree, or as a layer on one. */
import { type ByteString, collectAtMost, toText } from '../core/bytes.ts';
import { OsupdError } from '../core/errors.ts';
import { MAX_SYMLINK_BYTES, MAX_TREE_DEPTH, MAX_TREE_NODES } from '../core/limits.ts';
import { type ContentStore, type ReadOptions, stopIfAborted } from './content.ts';
import { decompress } from './decompress.ts';
import { applyLayer } from './layers.ts';
import { settleLinks } from './links.ts';
import { type ReadRules, readRules } from './read-rules.ts';
import { brokenNameRule, brokenXattrRule } from './rules.ts';
import { readTarEntries, type TarEntry } from './tar-entries.ts';
import { type DirectoryNode, type Entry, EPOCH, type FileNode, nodeOf, type Tree, type TreeNode } from './tree.ts';

export interface TarOptions extends ReadOptions {
  /** The tree below: the archive is then an OCI layer on it, and its hard links may lead into it. It is not changed. */
  readonly base?: Tree | undefined;
  readonly store: ContentStore;
  /** The archive's name, for messages. */
  readonly where: string;
}

/** Entries between two reports of progress. */
const BREATH = 1024;

/**
 * The tree of a tar stream, plain or compressed with gzip, zstd or xz (told by its first bytes).
 *
 * Entries count in the order of the archive: a later one of the same name replaces an earlier one, but a directory keeps
 * what is in it. Names are taken relative to the root, absolute ones too. A directory that the archive does not name has
 * mode 0755, owner 0:0 (mapped as the others are) and the epoch as mtime, or with `base` what it has there. User and group
 * names in the archive say nothing, its numbers count.
 *
 * Refused as `invalid-tar`, whatever the archive is used for: names with `..`, names that lead through something that is not
 * a directory (a symlink above all), hard links to what is not there (yet) or is a directory, and anything wrong in the
 * archive itself.
 * @throws OsupdError `invalid-tar`; `invalid-tree` when the layer does not fit on `base`; `limit-exceeded`; `interrupted`;
 * what the stream or the store throws.
 */
export async function readTar(stream: AsyncIterable<Uint8Array>, options: TarOptions): Promise<Tree> {
  const reader = new TarReader(options);
  const layer = await reader.read(stream);
  return options.base === undefined ? layer : applyLayer(options.base, layer, options.where);
}

class TarReader {
  readonly #options: TarOptions;
  readonly #rules: ReadRules;
  readonly #root: DirectoryNode;
  #count = 0;

  constructor(options: TarOptions) {
    this.#options = options;
    this.#rules = readRules(options);
    this.#root = this.#impliedDirectory();
  }

  async read(stream: AsyncIterable<Uint8Array>): Promise<Tree> {
    const { progress, signal, where } = this.#options;
    const step = 'read archive';
    const refuse = (what: string) => new OsupdError('invalid-tar', what, { where });
    progress?.({ kind: 'start', step, unit: 'items' });
    for await (const entry of readTarEntries(decompress(untilAborted(stream, signal), refuse), refuse)) {
      stopIfAborted(signal);
      await this.#add(entry);
      if (++this.#count % BREATH === 0) progress?.({ kind: 'advance', step, done: this.#count });
      if (this.#count > MAX_TREE_NODES) throw this.#limit(entry, `more than ${MAX_TREE_NODES} entries`);
    }
    const tree = { root: this.#root };
    settleLinks(tree);
    progress?.({ kind: 'finish', step, done: this.#count });
    return tree;
  }

  async #add(entry: TarEntry): Promise<void> {
    const components = this.#components(entry, entry.name);
    const path = components.join('/');
    if (this.#rules.excludes(path)) return;
    // Old archives mark a directory by the end of its name alone.
    const isDirectory = entry.type === 'directory' || (entry.type === 'file' && entry.name.endsWith('/'));
    if (isDirectory && entry.size > 0) throw this.#refuse(entry, 'a directory cannot have content');
    const name = components.pop();
    if (name === undefined) {
      if (!isDirectory) throw this.#refuse(entry, 'the root is not a directory');
      this.#replaceDirectory(this.#root, entry);
      return;
    }
    const parent = this.#parent(entry, components);
    const earlier = parent.children.get(name);
    if (isDirectory) {
      if (earlier?.type === 'directory') this.#replaceDirectory(earlier, entry);
      else parent.children.set(name, { type: 'directory', ...this.#common(entry), children: new Map() });
      return;
    }
    const added = entry.type === 'hardlink' ? this.#hardLink(entry) : await this.#leaf(entry);
    if (added !== undefined) parent.children.set(name, added);
  }

  /** The parts of a name or hard link target. */
  #components(entry: TarEntry, name: ByteString): ByteString[] {
    if (name === '') throw this.#refuse(entry, 'the name is empty');
    const components = name.split('/').filter((component) => component !== '' && component !== '.');
    if (components.length > MAX_TREE_DEPTH) throw this.#limit(entry, `more than ${MAX_TREE_DEPTH} directories deep`);
    for (const component of components) {
      const broken = brokenNameRule(component);
      if (broken !== undefined) throw this.#refuse(entry, `the path ${toText(name)} cannot be in a tree: ${broken}`);
    }
    return components;
  }

  #parent(entry: TarEntry, components: readonly ByteString[]): DirectoryNode {
    let directory = this.#root;
    for (const component of components) {
      let child = directory.children.get(component);
      if (child === undefined) {
        child = this.#impliedDirectory();
        directory.children.set(component, child);
        this.#count++;
      }
      if (child.type !== 'directory')
        throw this.#refuse(
          entry,
          `leads through "${toText(component)}", which is a ${nodeOf(child).type} in the archive`,
        );
      directory = child;
    }
    return directory;
  }

  #hardLink(entry: TarEntry): Entry {
    const components = this.#components(entry, entry.link);
    const target = find(this.#root, components) ?? (this.#options.base && find(this.#options.base.root, components));
    const link = toText(entry.link);
    if (target === undefined) throw this.#refuse(entry, `is a hard link to "${link}", which is not there`);
    const node = nodeOf(target);
    if (node.type === 'directory') throw this.#refuse(entry, `is a hard link to "${link}", which is a directory`);
    return { type: 'hardlink', target: node };
  }

  async #leaf(entry: TarEntry): Promise<TreeNode | undefined> {
    switch (entry.type) {
      case 'symlink':
        if (entry.link === '') throw this.#refuse(entry, 'a symlink without a target');
        if (entry.link.length > MAX_SYMLINK_BYTES) throw this.#refuse(entry, 'a symlink target longer than 4095');
        return { type: 'symlink', ...this.#common(entry), target: entry.link };
      case 'character':
      case 'block': {
        const { major, minor } = entry;
        if (major > 0xfff || minor > 0xfffff) throw this.#refuse(entry, `no device ${major}:${minor} can be`);
        const rdev = ((minor & 0xff) | (major << 8) | ((minor >>> 8) << 20)) >>> 0;
        if (this.#rules.skips(entry.type, rdev)) return undefined;
        return { type: entry.type, ...this.#common(entry), rdev };
      }
      case 'fifo':
        return { type: 'fifo', ...this.#common(entry) };
      default:
        return this.#file(entry);
    }
  }

  async #file(entry: TarEntry): Promise<FileNode> {
    const { size, content } = entry;
    const node: FileNode = { type: 'file', ...this.#common(entry), size };
    if (size > this.#options.inlineLimit) node.digest = await this.#options.store.put(content, size);
    else if (size > 0)
      node.content = new Uint8Array(
        await collectAtMost(content, size, () => this.#refuse(entry, 'has more content than it says')),
      );
    return node;
  }

  #replaceDirectory(directory: DirectoryNode, entry: TarEntry): void {
    Object.assign(directory, this.#common(entry));
    delete directory.implied;
  }

  #impliedDirectory(): DirectoryNode {
    const { uid, gid, mtime } = this.#rules;
    const common = { mode: 0o755, uid: uid(0), gid: gid(0), nlink: 2, mtime: mtime(EPOCH), xattrs: new Map() };
    return { type: 'directory', ...common, children: new Map(), implied: true };
  }

  #common(entry: TarEntry) {
    const rules = this.#rules;
    const xattrs = new Map([...entry.xattrs].filter(([name]) => rules.keepsXattr(name)));
    const broken = brokenXattrRule(xattrs);
    if (broken !== undefined) throw this.#refuse(entry, broken);
    return {
      mode: entry.mode,
      uid: rules.uid(this.#id(entry, entry.uid)),
      gid: rules.gid(this.#id(entry, entry.gid)),
      nlink: 1,
      mtime: rules.mtime(entry.mtime),
      xattrs,
    };
  }

  #id(entry: TarEntry, id: number): number {
    if (id > 0xffffffff) throw this.#refuse(entry, `no user or group can have the number ${id}`);
    return id;
  }

  #refuse(entry: TarEntry, what: string): OsupdError {
    const name = toText(entry.name);
    return new OsupdError('invalid-tar', `"${name}": ${what}`, { where: this.#options.where, facts: { entry: name } });
  }

  #limit(entry: TarEntry, what: string): OsupdError {
    const { message, where, facts } = this.#refuse(entry, what);
    return new OsupdError('limit-exceeded', message, { ...(where === undefined ? {} : { where }), facts });
  }
}

/** One file can be most of the archive, so the signal is looked at in its content too. */
async function* untilAborted(stream: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined) {
  for await (const chunk of stream) {
    stopIfAborted(signal);
    yield chunk;
  }
}

function find(root: DirectoryNode, components: readonly ByteString[]): Entry | undefined {
  let entry: Entry | undefined = root;
  for (const component of components) {
    if (entry?.type !== 'directory') return undefined;
    entry = entry.children.get(component);
  }
  return entry;
}
