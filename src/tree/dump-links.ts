/** Hard links of a dump: a line may name a target that comes later, or one that is itself a hard link. */
import type { ByteString } from '../core/bytes.ts';
import type { OsupdError } from '../core/errors.ts';
import { type DirectoryNode, type Entry, EPOCH, type HardLink } from './tree.ts';

interface PendingLink {
  readonly directory: DirectoryNode;
  readonly name: ByteString;
  readonly target: ByteString;
  readonly line: number;
  /** What holds the name until the target is known. */
  readonly placeholder: Entry;
}

export class DumpLinks {
  readonly #links: PendingLink[] = [];
  readonly #byPlaceholder = new Map<Entry, PendingLink>();
  readonly #refuse: (rule: string, line: number) => OsupdError;

  /** @param refuse makes the error for the rule that a line breaks. */
  constructor(refuse: (rule: string, line: number) => OsupdError) {
    this.#refuse = refuse;
  }

  /** Takes the name in the directory for a link to `target`, a path. */
  add(directory: DirectoryNode, name: ByteString, target: ByteString, line: number): void {
    const placeholder: Entry = {
      type: 'fifo',
      mode: 0,
      uid: 0,
      gid: 0,
      nlink: 0,
      mtime: EPOCH,
      xattrs: new Map(),
    };
    const link = { directory, name, target, line, placeholder };
    directory.children.set(name, placeholder);
    this.#links.push(link);
    this.#byPlaceholder.set(placeholder, link);
  }

  /** Puts the links in place, once all lines are read. */
  resolve(root: DirectoryNode): void {
    for (const link of this.#links) {
      // Links to links are followed once: all on the way are put in place together.
      const chain = new Set<PendingLink>();
      let current = link;
      for (;;) {
        if (chain.has(current)) throw this.#refuse('hard links in a circle', link.line);
        chain.add(current);
        const entry = find(root, current.target);
        if (entry === undefined) throw this.#refuse('hard link target is absent', current.line);
        if (entry.type === 'directory') throw this.#refuse('hard link to a directory', current.line);
        const next = this.#byPlaceholder.get(entry);
        if (next === undefined) {
          this.#put(chain, entry.type === 'hardlink' ? entry.target : entry);
          break;
        }
        current = next;
      }
    }
  }

  #put(chain: Iterable<PendingLink>, target: HardLink['target']): void {
    for (const { directory, name } of chain) directory.children.set(name, { type: 'hardlink', target });
  }
}

function find(root: DirectoryNode, path: ByteString): Entry | undefined {
  let entry: Entry = root;
  for (const name of path.split('/')) {
    if (name === '') continue;
    const child: Entry | undefined = entry.type === 'directory' ? entry.children.get(name) : undefined;
    if (child === undefined) return undefined;
    entry = child;
  }
  return entry;
}
