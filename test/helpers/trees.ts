/** Trees as lines of text, so that a test's failure shows what differs; and a store that keeps only digests. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { toBytes, toText } from '../../src/core/bytes.ts';
import { asDigest, type Digest } from '../../src/core/digest.ts';
import type { ContentStore } from '../../src/tree/content.ts';
import { type DirectoryNode, type Entry, EPOCH, nodeOf, type Tree, walk } from '../../src/tree/tree.ts';

/** Names contents by their SHA-256 and forgets them. */
export class HashStore implements ContentStore {
  /** Bytes of all contents. */
  bytes = 0;
  count = 0;

  async put(content: AsyncIterable<Uint8Array>, size: number): Promise<Digest> {
    const hash = createHash('sha256');
    let length = 0;
    for await (const chunk of content) {
      hash.update(chunk);
      length += chunk.length;
    }
    if (length !== size) throw new Error(`${length} bytes of content, not ${size}`);
    this.bytes += size;
    this.count++;
    return asDigest(hash.digest('hex'));
  }
}

/** One line for each entry; contents by their SHA-256, wherever they are. Digests must be those of {@link HashStore}. */
export function treeLines(tree: Tree, skip: readonly 'mtime'[] = []): string[] {
  const names = new Map<Entry, string>();
  return [...walk(tree)].map(({ path, entry }) => {
    const node = nodeOf(entry);
    const first = names.get(node);
    if (first !== undefined) return `${toText(path)} = ${first}`;
    names.set(node, toText(path));
    const xattrs = [...node.xattrs].map(([name, value]) => `${toText(name)}=${Buffer.from(value).toString('hex')}`);
    return [
      toText(path),
      node.type,
      `0${node.mode.toString(8)}`,
      `${node.uid}:${node.gid}`,
      ...(skip.includes('mtime') ? [] : [`${node.mtime.seconds}.${String(node.mtime.nanoseconds).padStart(9, '0')}`]),
      `links=${node.nlink}`,
      ...whatIs(node),
      ...xattrs.sort(),
    ].join(' ');
  });
}

function whatIs(node: Entry): string[] {
  if (node.type === 'symlink') return [`-> ${toText(node.target)}`];
  if (node.type === 'character' || node.type === 'block') return [`rdev=${node.rdev}`];
  if (node.type !== 'file') return [];
  if (node.digest !== undefined) return [`${node.size}`, node.digest];
  const content = node.content ?? (node.source === undefined ? Buffer.alloc(0) : readFileSync(toBytes(node.source)));
  return [`${node.size}`, createHash('sha256').update(content).digest('hex')];
}

/** An empty directory, root-owned, mode 0755. */
export function directory(children: Record<string, Entry> = {}, rest: Partial<DirectoryNode> = {}): DirectoryNode {
  return { type: 'directory', ...common(0o755), ...rest, children: new Map(Object.entries(children)) };
}

/** A file with its content inline. */
export function file(content: string, rest: Partial<Extract<Entry, { type: 'file' }>> = {}) {
  const bytes = Buffer.from(content);
  return { type: 'file' as const, ...common(0o644), size: bytes.length, content: bytes, ...rest };
}

export function common(mode: number) {
  return { mode, uid: 0, gid: 0, nlink: 1, mtime: EPOCH, xattrs: new Map<string, Uint8Array>() };
}
