/**
 * The three-way merge of /etc: from the old default, the local changes over it (the upper directory of an overlay) and the new default
 * comes what the upper directory over the new default must hold. docs/etc.md has the rules as a table.
 *
 * Only names that the upper directory has are looked at: everything else comes from the new default by itself.
 */
import type { ByteString } from '../../core/bytes.ts';
import { settleLinks } from '../../tree/links.ts';
import { type DirectoryNode, type Entry, type FileNode, nodeOf, type TreeNode } from '../../tree/tree.ts';
import type { EtcPolicy } from '../configuration-file.ts';
import { asDirectory, childOf, metadataFields, sameContent, sameMetadata, sameTree } from './compare-nodes.ts';
import { mergeContents, type ReadContent } from './merge-contents.ts';
import { type EtcConflict, type EtcLists, emptyLists } from './report.ts';
import { fileClass } from './special-files.ts';
import { emptyCopy, isOpaque, isWhiteout, newWhiteout, setOpaque, withoutMarks } from './upper.ts';

/** What the three sides have under one name, and the name below /etc. */
interface Sides {
  readonly path: ByteString;
  readonly old: TreeNode | undefined;
  readonly local: TreeNode;
  readonly next: TreeNode | undefined;
}

interface EtcMerge {
  /** The upper directory over the new default. */
  readonly upper: DirectoryNode;
  readonly lists: EtcLists;
  /** Files of the new default that are in conflict, by their paths below /etc. */
  readonly defaults: ReadonlyMap<ByteString, FileNode>;
}

/**
 * Merges. Nodes of the upper that stay as they are are taken over themselves, so that hard links stay hard links.
 * @param old undefined: everything in the upper is an addition.
 * @param read gives contents of files of all three sides.
 */
export async function mergeEtc(
  old: DirectoryNode | undefined,
  upper: DirectoryNode,
  next: DirectoryNode,
  policy: EtcPolicy,
  read: ReadContent,
): Promise<EtcMerge> {
  const merger = new Merger(policy, read);
  const root = await merger.root(old, upper, next);
  settleLinks({ root });
  return { upper: root, lists: merger.lists, defaults: merger.defaults };
}

class Merger {
  readonly lists = emptyLists();
  readonly defaults = new Map<ByteString, FileNode>();
  readonly #policy: EtcPolicy;
  readonly #read: ReadContent;

  constructor(policy: EtcPolicy, read: ReadContent) {
    this.#policy = policy;
    this.#read = read;
  }

  async root(old: DirectoryNode | undefined, local: DirectoryNode, next: DirectoryNode): Promise<DirectoryNode> {
    const sides = { path: '', old: old ?? next, local, next };
    const root = this.#mergeMetadata(sides, next, emptyCopy(local)) as DirectoryNode;
    return this.#children({ path: '', old, local, next }, local, root);
  }

  /** What the new upper has under a name; undefined for nothing. */
  async #entry(sides: Sides): Promise<TreeNode | undefined> {
    const { local } = sides;
    if (isWhiteout(local)) return this.#removed(sides);
    if (local.type !== 'directory') return this.#leaf(sides);
    return isOpaque(local) && asDirectory(sides.old) ? this.#replaced(sides, local) : this.#directory(sides, local);
  }

  #removed(sides: Sides): TreeNode | undefined {
    const { path, old, next } = sides;
    if (old === undefined || next === undefined) return this.#drop(path, 'nothing-to-remove');
    if (!sameTree(old, next)) this.#conflict(sides, 'removed-here');
    else this.#keep(sides);
    return newWhiteout();
  }

  /** A directory that took the place of another one: kept or dropped as a whole, like a file. */
  #replaced(sides: Sides, local: DirectoryNode): TreeNode | undefined {
    const { path, old, next } = sides;
    const shown = withoutMarks(local);
    if (sameTree(shown, next)) return this.#drop(path, 'equals-new-default');
    if (sameTree(shown, old)) return this.#drop(path, 'equals-old-default');
    if (next === undefined) this.#conflict(sides, 'removed-by-default');
    else if (sameTree(old, next)) this.#keep(sides);
    else this.#conflict(sides, 'replaced-here');
    if (asDirectory(next)) setOpaque(shown);
    return shown;
  }

  async #directory(sides: Sides, local: DirectoryNode): Promise<TreeNode | undefined> {
    const { path, old, next } = sides;
    const before = asDirectory(old);
    const isChanged = before === undefined || !sameMetadata(before, local);
    const after = asDirectory(next);
    if (after !== undefined) {
      const merged = this.#mergeMetadata(sides, after, emptyCopy(local)) as DirectoryNode;
      await this.#children(sides, local, merged);
      if (merged.children.size > 0 || !sameMetadata(merged, after)) return merged;
      return isChanged ? this.#drop(path, 'equals-new-default') : undefined;
    }
    // Parents before what is in them, in the lists too; whether it stays is known only afterwards.
    const at = { kept: this.lists.kept.length, conflicts: this.lists.conflicts.length };
    const stays = await this.#children(sides, local, emptyCopy(local));
    if (before !== undefined && !isChanged && stays.children.size === 0) return undefined;
    if (before === undefined && sameTree(old, next)) this.lists.kept.splice(at.kept, 0, this.#kept(sides));
    else if (before !== undefined && next === undefined && !isChanged) return stays;
    else {
      const reason = next === undefined ? 'removed-by-default' : old === undefined ? 'both-added' : 'both-changed';
      this.lists.conflicts.splice(at.conflicts, 0, this.#newConflict(sides, reason));
    }
    return stays;
  }

  /** Fills a directory of the new upper. */
  async #children({ path, old, next }: Sides, local: DirectoryNode, result: DirectoryNode): Promise<DirectoryNode> {
    for (const name of [...local.children.keys()].sort()) {
      const entry = local.children.get(name) as Entry;
      const merged = await this.#entry({
        path: path === '' ? name : `${path}/${name}`,
        old: childOf(old, name),
        local: nodeOf(entry),
        next: childOf(next, name),
      });
      if (merged !== undefined) result.children.set(name, merged);
    }
    return result;
  }

  async #leaf(sides: Sides): Promise<TreeNode | undefined> {
    const { path, old, local, next } = sides;
    if (next !== undefined && sameTree(local, next)) return this.#drop(path, 'equals-new-default');
    if (old !== undefined && sameTree(local, old)) return this.#drop(path, 'equals-old-default');
    const kind = fileClass(path);
    if (kind === 'state' || sameTree(old, next)) return this.#keep(sides);
    if (next === undefined) return this.#conflict(sides, 'removed-by-default');
    if (kind === 'generated') return this.#drop(path, 'generated');
    if (this.#policy === 'keep' || local.type !== next.type || (old !== undefined && old.type !== local.type))
      return this.#conflict(sides, old === undefined ? 'both-added' : 'both-changed');
    return this.#mergeLeaf(sides, next);
  }

  /** Both changed or added it, and it is of one type everywhere. */
  async #mergeLeaf(sides: Sides, next: TreeNode): Promise<TreeNode | undefined> {
    const { path, old, local } = sides;
    const fields: string[] = [];
    const result: TreeNode = { ...local, xattrs: new Map(local.xattrs) };
    const conflict = mergeMetadata(sides, next, result, fields);
    if (conflict.length > 0) return this.#conflict(sides, 'metadata', conflict.join(', '));
    const contents = await mergeContents({ path, old, local, next }, this.#read);
    if (contents === undefined) return this.#conflict(sides, old === undefined ? 'both-added' : 'both-changed');
    const merged: TreeNode = contents.node === local ? result : { ...contents.node, ...metadataOf(result) };
    for (const name of contents.conflicts) this.#conflict(sides, 'account', name);
    for (const detail of contents.sameIds) this.#conflict(sides, 'same-id', detail);
    if (sameTree(merged, next)) return this.#drop(path, 'equals-new-default');
    if (!sameContent(merged, local)) fields.unshift('content');
    if (fields.length === 0) return contents.conflicts.length > 0 ? local : this.#keep(sides);
    this.lists.merged.push({ path: absolute(path), fields });
    return merged;
  }

  /** Brings the new default's metadata into a directory; where both changed them, the local ones stay. */
  #mergeMetadata(sides: Sides, next: TreeNode, result: TreeNode): TreeNode {
    const fields: string[] = [];
    const conflict = mergeMetadata(sides, next, result, fields);
    if (conflict.length > 0) this.#conflict(sides, 'metadata', conflict.join(', '));
    const { old, local } = sides;
    if (old !== undefined && sameMetadata(old, local)) return result;
    if (fields.length > 0 && !sameMetadata(result, next))
      this.lists.merged.push({ path: absolute(sides.path), fields });
    else if (conflict.length === 0 && !sameMetadata(result, next)) this.#keep(sides);
    return result;
  }

  #kept({ path, old, local }: Sides): EtcLists['kept'][number] {
    const kind = isWhiteout(local) ? 'removed' : old === undefined ? 'added' : 'changed';
    return { path: absolute(path), kind };
  }

  #keep(sides: Sides): TreeNode {
    this.lists.kept.push(this.#kept(sides));
    return sides.local;
  }

  #drop(path: ByteString, reason: EtcLists['dropped'][number]['reason']): undefined {
    this.lists.dropped.push({ path: absolute(path), reason });
  }

  #conflict(sides: Sides, reason: EtcConflict['reason'], detail?: string): TreeNode {
    this.lists.conflicts.push(this.#newConflict(sides, reason, detail));
    return sides.local;
  }

  #newConflict({ path, next }: Sides, reason: EtcConflict['reason'], detail?: string): EtcConflict {
    if (next?.type === 'file') this.defaults.set(path, next);
    return { path: absolute(path), reason, ...(detail === undefined ? {} : { detail }) };
  }
}

/** Field by field into `result`, which has the local ones. @returns the fields that both changed, differently. */
function mergeMetadata(
  { old, local }: Pick<Sides, 'old' | 'local'>,
  next: TreeNode,
  result: TreeNode,
  fields: string[],
): string[] {
  const conflicts: string[] = [];
  for (const field of metadataFields(old, local, next)) {
    if (field.same(local, next) || (old !== undefined && field.same(old, next))) continue;
    if (old === undefined || !field.same(old, local)) conflicts.push(field.name);
    else {
      field.copy(next, result);
      fields.push(field.name);
    }
  }
  return conflicts;
}

function metadataOf({ mode, uid, gid, xattrs }: TreeNode) {
  return { mode, uid, gid, xattrs };
}

function absolute(path: ByteString): ByteString {
  return path === '' ? '/etc' : `/etc/${path}`;
}
