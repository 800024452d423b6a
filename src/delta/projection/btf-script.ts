/**
 * How the types and strings of a module's BTF become those of the new one. The tool that writes them (pahole) works in parallel, so that
 * types are in another order each time; their strings follow in the order in which the types name them.
 */
import type { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { damagedDelta } from '../damage.ts';
import { BTF_HEADER_BYTES, type Btf, type BtfBase, guessBase, typeKeys, visitReferences } from './btf.ts';
import { alignKeys, type KeyRun } from './btf-alignment.ts';
import { type EditScript, newSize, readScript, writeScript } from './edit-script.ts';
import { alignSequences, BYTE_WINDOWS } from './sequence-alignment.ts';
import { slideGaps } from './slide-gaps.ts';

/** Types are counted in words. */
const WORD = 4;

const SHORTEST_STRING_RUN = 6;

/** Old types that stay, in the order of the new ones; behind them, old ones that are replaced by others. */
export interface TypeRun extends KeyRun {
  readonly goes: number;
  readonly comes: number;
  /** Of all that come. */
  readonly words: number;
}

export interface BtfScript {
  /** What the numbers of the module's first type and string grow by; undefined: as in the modules before. */
  readonly typeShift: number;
  readonly stringShift: number;
  readonly runs: readonly TypeRun[];
  /** From the old strings in the order of {@link orderStrings} to the new ones. */
  readonly strings: EditScript;
}

/** The encoder's side: compares two sections. */
export function compareBtf(old: Btf, next: Btf): BtfScript {
  const oldBase = guessBase(old);
  const newBase = guessBase(next);
  const runs: TypeRun[] = [];
  const aligned = alignKeys(typeKeys(old, oldBase), typeKeys(next, newBase));
  const newTypes = next.starts.length - 1;
  for (const [index, run] of aligned.runs.entries()) {
    const oldEnd = run.oldAt + run.length;
    const newEnd = run.newAt + run.length;
    const following = aligned.runs[index + 1];
    const comes = (following?.newAt ?? newTypes) - newEnd;
    let goes = 0;
    if (comes > 0)
      while (goes < 2 * comes && oldEnd + goes < aligned.used.length && aligned.used[oldEnd + goes] === 0) goes++;
    if (following !== undefined && following.oldAt > oldEnd) goes = Math.min(goes, following.oldAt - oldEnd);
    const words = (next.starts[newEnd + comes]! - next.starts[newEnd]!) / WORD;
    runs.push({ ...run, goes, comes, words });
  }
  const oldStrings = orderStrings(old, oldBase, runs).bytes;
  const newStrings = new Uint8Array(next.view.buffer, next.view.byteOffset + next.stringsAt, next.stringsSize);
  const strings = alignSequences(oldStrings, newStrings, BYTE_WINDOWS, SHORTEST_STRING_RUN);
  return {
    typeShift: newBase.types - oldBase.types,
    stringShift: newBase.strings - oldBase.strings,
    runs,
    strings: slideGaps(strings, oldStrings, newStrings, (place) => oldStrings[place - 1] === 0),
  };
}

/** The old strings in the order in which types name them that stand in the new order. */
export interface OrderedStrings {
  readonly bytes: Uint8Array;
  /** For the offset where each old string begins its offset in `bytes`, and 1 more; 0 for those that nothing names. */
  readonly places: Uint32Array;
}

export function orderStrings(old: Btf, base: BtfBase, runs: readonly TypeRun[]): OrderedStrings {
  const { view, stringsAt, stringsSize, starts } = old;
  const bytes = new Uint8Array(stringsSize);
  const places = new Uint32Array(stringsSize);
  let end = 0;
  const seeName = (at: number) => {
    const from = view.getUint32(at, true) - base.strings;
    if (from < 0 || from >= stringsSize || places[from] !== 0) return;
    // Only whole strings: so each byte is copied once.
    if (from > 0 && view.getUint8(stringsAt + from - 1) !== 0) return;
    places[from] = end + 1;
    for (let place = from; place < stringsSize; place++) {
      const byte = view.getUint8(stringsAt + place);
      bytes[end++] = byte;
      if (byte === 0) break;
    }
  };
  for (const { oldAt, length, goes } of runs) {
    const limit = Math.min(oldAt + length + goes, starts.length - 1);
    for (let type = oldAt; type < limit; type++) visitReferences(old, type, () => {}, seeName);
  }
  return { bytes: bytes.subarray(0, end), places };
}

function writeSigned(writer: ByteWriter, value: number): void {
  writer.varint(value < 0 ? -2 * value - 1 : 2 * value);
}

function readSigned(reader: ByteReader, what: string): number {
  const folded = reader.varint(what);
  return folded % 2 === 1 ? -(folded + 1) / 2 : folded / 2;
}

/** The runs: each its place relative to the end of the one before, its length, and what is replaced behind it. */
export function writeBtfScript(writer: ByteWriter, { typeShift, stringShift, runs, strings }: BtfScript): void {
  writeSigned(writer, typeShift);
  writeSigned(writer, stringShift);
  writer.varint(runs.length);
  let oldEnd = 0;
  for (const { oldAt, length, goes, comes, words } of runs) {
    writeSigned(writer, oldAt - oldEnd);
    writer.varint(length);
    writer.varint(comes);
    if (comes > 0) {
      writer.varint(goes);
      writer.varint(words);
    }
    oldEnd = oldAt + length + goes;
  }
  writeScript(writer, strings);
}

/**
 * @param limit bytes that the new section may have
 * @throws OsupdError `damaged-delta`
 */
export function readBtfScript(reader: ByteReader, old: Btf, limit: number): BtfScript {
  const wrong = () => damagedDelta('a projection changes more types than there are');
  const typeShift = readSigned(reader, 'shift of type ids');
  const stringShift = readSigned(reader, 'shift of strings');
  const count = reader.varint('number of runs of types');
  if (count > reader.remaining / 3) throw damagedDelta('a projection has more changes than bytes');
  const oldTypes = old.starts.length - 1;
  const runs: TypeRun[] = [];
  let oldEnd = 0;
  let newEnd = 0;
  let bytes = 0;
  let gone = 0;
  for (let run = 0; run < count; run++) {
    const oldAt = oldEnd + readSigned(reader, 'place of a run of types');
    const length = reader.varint('length of a run of types');
    const comes = reader.varint('number of types that come');
    const goes = comes === 0 ? 0 : reader.varint('number of types that go');
    const words = comes === 0 ? 0 : reader.varint('words of types that come');
    if (oldAt < 0 || oldAt + length + goes > oldTypes) throw wrong();
    runs.push({ oldAt, newAt: newEnd, length, goes, comes, words });
    bytes += old.starts[oldAt + length]! - old.starts[oldAt]! + words * WORD;
    oldEnd = oldAt + length + goes;
    newEnd += length + comes;
    gone += goes;
    if (bytes > limit || newEnd > limit || gone > oldTypes) throw wrong();
  }
  return {
    typeShift,
    stringShift,
    runs,
    strings: readScript(reader, orderStrings(old, guessBase(old), runs).bytes.length, limit),
  };
}

/** Bytes of the new section. */
export function newBtfSize(old: Btf, { runs, strings }: BtfScript): number {
  return BTF_HEADER_BYTES + newTypeBytes(old, runs) + newSize(strings);
}

export function newTypeBytes(old: Btf, runs: readonly TypeRun[]): number {
  let bytes = 0;
  for (const { oldAt, length, words } of runs) bytes += old.starts[oldAt + length]! - old.starts[oldAt]! + words * WORD;
  return bytes;
}
