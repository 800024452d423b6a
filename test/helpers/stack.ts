/** Images and a pool for tests of mounts, made without any file system feature, synchronously. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fromText } from '../../src/core/bytes.ts';
import { objectName } from '../../src/core/digest.ts';
import { encodeImage } from '../../src/image/write.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { type DirectoryNode, EPOCH, type TreeNode } from '../../src/tree/tree.ts';

/** What a test says of a node; a string alone is the content of a file of mode 0644. */
export interface NodeOptions {
  readonly type?: 'file' | 'directory' | 'symlink';
  /** Content of a file, target of a symlink. */
  readonly content?: string | Uint8Array;
  readonly mode?: number;
  readonly uid?: number;
  readonly xattrs?: Readonly<Record<string, string>>;
}

export class TestPool {
  readonly directory: string;

  constructor(parent: string) {
    this.directory = mkdtempSync(join(parent, 'pool-'));
    for (const name of ['objects', 'images', 'staging']) mkdirSync(join(this.directory, name));
  }

  get objects(): string {
    return join(this.directory, 'objects');
  }

  get images(): string {
    return join(this.directory, 'images');
  }

  /** Adds an image and its objects. Keys are paths without the first slash; parents come by themselves. @returns the image's path. */
  addImage(nodes: Readonly<Record<string, string | NodeOptions>>): string {
    const root = directoryNode();
    for (const [path, node] of Object.entries(nodes)) {
      const parts = path.split('/').map(fromText);
      const name = parts.pop() ?? '';
      let parent = root;
      for (const part of parts) {
        const found = parent.children.get(part) ?? directoryNode();
        if (found.type !== 'directory') throw new Error(`${path}: a parent is no directory`);
        parent.children.set(part, found);
        parent = found;
      }
      parent.children.set(name, this.#node(typeof node === 'string' ? { content: node } : node));
    }
    const bytes = encodeImage({ root });
    const image = join(this.images, fsverityDigest(bytes));
    writeFileSync(image, bytes);
    return image;
  }

  #node({ type = 'file', content = '', mode, uid = 0, xattrs = {} }: NodeOptions): TreeNode {
    const bytes = Buffer.from(content);
    const common = {
      mode: mode ?? (type === 'directory' ? 0o755 : 0o644),
      uid,
      gid: uid,
      nlink: 1,
      mtime: EPOCH,
      xattrs: new Map(Object.entries(xattrs).map(([name, value]) => [name, Buffer.from(value, 'latin1')])),
    };
    if (type === 'directory') return { ...common, type, nlink: 2, children: new Map() };
    if (type === 'symlink') return { ...common, type, mode: 0o777, target: bytes.toString('latin1') };
    if (bytes.length <= 64) return { ...common, type, size: bytes.length, content: bytes };
    const digest = fsverityDigest(bytes);
    const path = join(this.objects, objectName(digest));
    if (!existsSync(path)) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes);
      chmodSync(path, 0o644);
    }
    return { ...common, type, size: bytes.length, digest, payload: objectName(digest) };
  }
}

function directoryNode(): DirectoryNode {
  return {
    type: 'directory',
    mode: 0o755,
    uid: 0,
    gid: 0,
    nlink: 2,
    mtime: EPOCH,
    xattrs: new Map(),
    children: new Map(),
  };
}

/** A text that is too long to be kept in an image, so that it becomes an object. */
export function longText(start: string, length = 9000): string {
  return start.padEnd(length, '.');
}
