/** Writes a tree as a tree form: what differs from an old tree, entry by entry; or all of it, without an old one. */
import { ByteWriter } from '../../core/bytes.ts';
import { type Digest, digestToBytes } from '../../core/digest.ts';
import type { Entry, FileNode, Tree } from '../../tree/tree.ts';
import { writeSigned } from '../signed.ts';
import * as column from './columns.ts';
import {
  BLANK,
  contentOf,
  DepthGuess,
  deviceOf,
  digestsOf,
  type FlatEntry,
  flatten,
  LinkTargets,
  oddityOf,
} from './entries.ts';
import { modeField, ownerField, timeField, xattrsField } from './fields.ts';
import { matchEntries } from './match.ts';
import { writeRuns } from './runs.ts';
import { TableWriter } from './tables.ts';

export interface TreeForm {
  /** All columns; they compress well. */
  readonly columns: Uint8Array;
  /** Digests of objects that the old tree does not name, 32 bytes each; they do not compress. */
  readonly digests: Uint8Array;
}

/** The form of `tree`; with `base` only what differs from that. `readTreeForm` gives an equal tree back. */
export function writeTreeForm(tree: Tree, base?: Tree): TreeForm {
  const entries = flatten(tree);
  const old = base === undefined ? [] : flatten(base);
  const matches = matchEntries(old, entries);
  const writer = new EntryWriter(entries, old, matches);
  writer.columns.counts.varint(entries.length);
  writeRuns(writer.columns.runs, matches);
  entries.forEach((entry, number) => {
    writer.write(entry, number, old[matches[number]!]);
  });
  return { columns: column.joinColumns(writer.columns), digests: writer.digests.finish() };
}

class EntryWriter {
  readonly columns = column.columnWriters();
  readonly digests = new ByteWriter();
  readonly #modes: TableWriter<number>;
  readonly #nodeFields: { write(entry: Entry, before: Entry): number }[];
  readonly #digestNumbers: Map<Digest, number>;
  readonly #numbers: ReadonlyMap<Entry, number>;
  readonly #targets: LinkTargets;
  readonly #depths = new DepthGuess();
  /** Continued entries without any difference since the last one with some. */
  #gap = 0;

  constructor(entries: readonly FlatEntry[], old: readonly FlatEntry[], matches: Int32Array) {
    this.#modes = new TableWriter(modeField, this.columns, old);
    this.#nodeFields = [
      new TableWriter(ownerField, this.columns, old),
      new TableWriter(timeField, this.columns, old),
      new TableWriter(xattrsField, this.columns, old),
    ];
    this.#digestNumbers = new Map(digestsOf(old).map((digest, number) => [digest, number]));
    this.#numbers = new Map(entries.map(({ entry }, number) => [entry, number]));
    this.#targets = new LinkTargets(old, matches);
  }

  write(flat: FlatEntry, number: number, old: FlatEntry | undefined): void {
    const before = old ?? BLANK;
    const { entry } = flat;
    let mask = this.#modes.write(entry, before.entry);
    mask |= this.#writeName(flat, before) | this.#writeDepth(flat, old);
    if (entry.type !== 'hardlink') for (const field of this.#nodeFields) mask |= field.write(entry, before.entry);
    mask |= this.#writeContent(entry, number, before.entry) | this.#writeOddity(flat, before);
    if (old !== undefined && mask === 0) {
      this.#gap++;
      return;
    }
    if (old !== undefined) {
      this.columns.gaps.varint(this.#gap);
      this.#gap = 0;
    }
    this.columns.masks.u8(mask);
  }

  #writeName(flat: FlatEntry, before: FlatEntry): number {
    if (flat.name === before.name) return 0;
    column.writeText(this.columns.names, flat.name);
    return column.NAME_BIT;
  }

  #writeDepth(flat: FlatEntry, old: FlatEntry | undefined): number {
    const expected = this.#depths.expected(old);
    this.#depths.note(old, flat.depth, flat.entry.type === 'directory');
    if (flat.depth === expected) return 0;
    writeSigned(this.columns.depths, flat.depth - expected);
    return column.DEPTH_BIT;
  }

  #writeContent(entry: Entry, number: number, before: Entry): number {
    const { numbers, targets } = this.columns;
    switch (entry.type) {
      case 'directory':
        return 0;
      case 'file':
        return this.#writeFile(entry, before.type === 'file' ? before : undefined);
      case 'symlink':
        if (before.type === 'symlink' && before.target === entry.target) return 0;
        column.writeText(targets, entry.target);
        break;
      case 'hardlink': {
        const target = this.#numbers.get(entry.target)!;
        const expected = this.#targets.expected(number);
        if (target === expected) return 0;
        writeSigned(numbers, target - expected);
        break;
      }
      default: {
        const device = deviceOf(entry);
        const expected = deviceOf(before);
        if (device.rdev === expected.rdev && device.size === expected.size) return 0;
        numbers.varint(device.rdev);
        numbers.varint(device.size);
      }
    }
    return column.CONTENT_BIT;
  }

  #writeFile(file: FileNode, before: FileNode | undefined): number {
    const content = contentOf(file);
    if (before !== undefined && file.size === before.size && sameContent(content, contentOf(before))) return 0;
    this.columns.sizes.varint(file.size);
    if (file.size === 0) return column.CONTENT_BIT;
    const { contents, inline } = this.columns;
    if (content === undefined) {
      contents.varint(column.CONTENT_CODE.none);
    } else if (typeof content !== 'string') {
      contents.varint(column.CONTENT_CODE.inline);
      inline.bytes(content);
    } else {
      const known = this.#digestNumbers.get(content);
      contents.varint(known === undefined ? column.CONTENT_CODE.new : column.CONTENT_CODE.known + known);
      if (known === undefined) {
        this.#digestNumbers.set(content, this.#digestNumbers.size);
        this.digests.bytes(digestToBytes(content));
      }
    }
    return column.CONTENT_BIT;
  }

  #writeOddity(flat: FlatEntry, before: FlatEntry): number {
    const { links, payload } = oddityOf(flat);
    const expected = oddityOf(before);
    if (links === expected.links && payload === expected.payload) return 0;
    writeSigned(this.columns.links, links);
    this.columns.links.varint(payload === undefined ? 0 : 1);
    if (payload !== undefined) column.writeText(this.columns.targets, payload);
    return column.LINKS_BIT;
  }
}

function sameContent(a: Uint8Array | string | undefined, b: Uint8Array | string | undefined): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  return a === b;
}
