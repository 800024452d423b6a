/** How the types and strings of a module's BTF become those of the new one, and how its numbers move. */
import type { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { damagedDelta } from '../damage.ts';
import { BTF_HEADER_BYTES, type Btf, type BtfBase, guessBase, typeKeys, visitReferences } from './btf.ts';
import { type EditScript, newSize, PlaceMap, readScript, ScriptBuilder, writeScript } from './edit-script.ts';
import type { RelocatableMemory } from './relocatable-memory.ts';
import { alignedRuns, alignSequences, BYTE_WINDOWS, ROW_WINDOWS } from './sequence-alignment.ts';

/** Types are counted in `types`; `typeBytes` has the same runs in bytes. Strings are counted in bytes. */
export interface BtfScript {
  /** What the numbers of the module's first type and string grow by. */
  readonly typeShift: number;
  readonly stringShift: number;
  readonly types: EditScript;
  readonly typeBytes: EditScript;
  readonly strings: EditScript;
}

/** Types of 4-byte words. */
const WORD = 4;

/** Runs of types with their places in bytes. */
class TypeScriptBuilder {
  readonly #starts: Uint32Array;
  readonly #types: [oldAt: number, newAt: number, length: number][] = [];
  readonly #bytesNewAt: number[] = [];

  constructor(old: Btf) {
    this.#starts = old.starts;
  }

  /** @param newByte offset of the run in the new types */
  add(oldAt: number, newAt: number, newByte: number, length: number): void {
    if (length === 0) return;
    const last = this.#types[this.#types.length - 1];
    const from = this.#starts[0]!;
    const before = this.#bytesNewAt[this.#bytesNewAt.length - 1]!;
    if (
      last !== undefined &&
      last[1] - last[0] === newAt - oldAt &&
      newByte - before === this.#starts[oldAt]! - this.#starts[last[0]]!
    ) {
      last[2] = oldAt + length - last[0];
      return;
    }
    if (last === undefined && oldAt === newAt && newByte === this.#starts[oldAt]! - from) {
      this.#types.push([0, 0, oldAt + length]);
      this.#bytesNewAt.push(0);
      return;
    }
    this.#types.push([oldAt, newAt, length]);
    this.#bytesNewAt.push(newByte);
  }

  finish(newTypes: number, newBytes: number): { types: EditScript; typeBytes: EditScript } {
    const oldTypes = this.#starts.length - 1;
    const from = this.#starts[0]!;
    const types = [...this.#types, [oldTypes, newTypes, 0] as const];
    const scriptOf = (map: (run: readonly [number, number, number], index: number) => [number, number, number]) => {
      const runs = types.map(map);
      return {
        oldAt: Uint32Array.from(runs, (run) => run[0]),
        newAt: Uint32Array.from(runs, (run) => run[1]),
        lengths: Uint32Array.from(runs, (run) => run[2]),
      };
    };
    return {
      types: scriptOf(([oldAt, newAt, length]) => [oldAt, newAt, length]),
      typeBytes: scriptOf(([oldAt, , length], index) => [
        this.#starts[oldAt]! - from,
        this.#bytesNewAt[index] ?? newBytes,
        this.#starts[oldAt + length]! - this.#starts[oldAt]!,
      ]),
    };
  }
}

/** The encoder's side: compares two sections. */
export function compareBtf(old: Btf, next: Btf): BtfScript {
  const oldBase = guessBase(old);
  const newBase = guessBase(next);
  const builder = new TypeScriptBuilder(old);
  for (const [oldAt, newAt, length] of alignedRuns(typeKeys(old, oldBase), typeKeys(next, newBase), ROW_WINDOWS))
    addAlike(builder, old, next, oldAt, newAt, length);
  return {
    typeShift: newBase.types - oldBase.types,
    stringShift: newBase.strings - oldBase.strings,
    ...builder.finish(next.starts.length - 1, next.stringsAt - next.typesAt),
    strings: alignSequences(stringsOf(old), stringsOf(next), BYTE_WINDOWS, 6),
  };
}

/** Keys are hashes: types of one key that differ in size are no run. */
function addAlike(builder: TypeScriptBuilder, old: Btf, next: Btf, oldAt: number, newAt: number, length: number): void {
  for (let step = 0; step < length; step++) {
    const oldBytes = old.starts[oldAt + step + 1]! - old.starts[oldAt + step]!;
    const newBytes = next.starts[newAt + step + 1]! - next.starts[newAt + step]!;
    if (oldBytes === newBytes) builder.add(oldAt + step, newAt + step, next.starts[newAt + step]! - next.typesAt, 1);
  }
}

function stringsOf({ view, stringsAt, stringsSize }: Btf): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + stringsAt, stringsSize);
}

function writeSigned(writer: ByteWriter, value: number): void {
  writer.varint(value < 0 ? -2 * value - 1 : 2 * value);
}

function readSigned(reader: ByteReader, what: string): number {
  const folded = reader.varint(what);
  return folded % 2 === 1 ? -(folded + 1) / 2 : folded / 2;
}

/** For each gap between runs: types that stay before it, that go, that come, and the words of these. */
export function writeBtfScript(writer: ByteWriter, script: BtfScript): void {
  writeSigned(writer, script.typeShift);
  writeSigned(writer, script.stringShift);
  const { types, typeBytes } = script;
  const numbers: number[] = [];
  let kept = 0;
  let oldEnd = 0;
  let newEnd = 0;
  let byteEnd = 0;
  for (let run = 0; run < types.oldAt.length; run++) {
    const goes = types.oldAt[run]! - oldEnd;
    const comes = types.newAt[run]! - newEnd;
    const words = (typeBytes.newAt[run]! - byteEnd) / WORD;
    if (goes > 0 || comes > 0) numbers.push(kept, goes, comes, words);
    kept = types.lengths[run]!;
    oldEnd = types.oldAt[run]! + kept;
    newEnd = types.newAt[run]! + kept;
    byteEnd = typeBytes.newAt[run]! + typeBytes.lengths[run]!;
  }
  writer.varint(numbers.length / 4);
  for (const number of numbers) writer.varint(number);
  writeScript(writer, script.strings);
}

/**
 * @param limit bytes that the new section may have
 * @throws OsupdError `damaged-delta`
 */
export function readBtfScript(reader: ByteReader, old: Btf, limit: number): BtfScript {
  const typeShift = readSigned(reader, 'shift of type ids');
  const stringShift = readSigned(reader, 'shift of strings');
  const gaps = reader.varint('number of changes of types');
  if (gaps > reader.remaining / 4) throw damagedDelta('a projection has more changes than bytes');
  const builder = new TypeScriptBuilder(old);
  const oldTypes = old.starts.length - 1;
  let oldEnd = 0;
  let newEnd = 0;
  let byteEnd = 0;
  const keep = (length: number) => {
    if (oldEnd + length > oldTypes) throw damagedDelta('a projection changes more types than there are');
    builder.add(oldEnd, newEnd, byteEnd, length);
    byteEnd += old.starts[oldEnd + length]! - old.starts[oldEnd]!;
    oldEnd += length;
    newEnd += length;
  };
  for (let gap = 0; gap < gaps; gap++) {
    keep(reader.varint('number of types that stay'));
    oldEnd += reader.varint('number of types that go');
    newEnd += reader.varint('number of types that come');
    byteEnd += reader.varint('words of types that come') * WORD;
    if (oldEnd > oldTypes || byteEnd > limit || newEnd > limit)
      throw damagedDelta('a projection changes more types than there are');
  }
  keep(oldTypes - oldEnd);
  if (byteEnd > limit) throw damagedDelta('a projection changes more types than there are');
  return {
    typeShift,
    stringShift,
    ...builder.finish(newEnd, byteEnd),
    strings: readScript(reader, old.stringsSize, limit),
  };
}

/** Script of the whole section, in bytes. */
export function wholeScript(old: Btf, { typeBytes, strings }: BtfScript): EditScript {
  const builder = new ScriptBuilder();
  builder.add(0, 0, BTF_HEADER_BYTES);
  const newStringsAt = BTF_HEADER_BYTES + newSize(typeBytes);
  for (let run = 0; run + 1 < typeBytes.oldAt.length; run++)
    builder.add(
      BTF_HEADER_BYTES + typeBytes.oldAt[run]!,
      BTF_HEADER_BYTES + typeBytes.newAt[run]!,
      typeBytes.lengths[run]!,
    );
  for (let run = 0; run + 1 < strings.oldAt.length; run++)
    builder.add(old.stringsAt + strings.oldAt[run]!, newStringsAt + strings.newAt[run]!, strings.lengths[run]!);
  return builder.finish(old.view.byteLength, newStringsAt + newSize(strings));
}

/**
 * Rewrites the numbers of a section in place, to be put at their new places afterwards.
 * @param see is told every number that is the kernel's: its offset, and the old value
 */
export function moveBtf(
  old: Btf,
  script: BtfScript,
  memory: RelocatableMemory,
  see: (at: number, value: number, isName: boolean) => void,
): void {
  const { view, starts } = old;
  const base: BtfBase = guessBase(old);
  const types = new PlaceMap(script.types);
  const strings = new PlaceMap(script.strings);
  const moveId = (at: number) => {
    const id = view.getUint32(at, true);
    if (id >= base.types) view.setUint32(at, base.types + script.typeShift + types.at(id - base.types), true);
    else {
      see(at, id, false);
      view.setUint32(at, memory.types.moved(id), true);
    }
  };
  const moveName = (at: number) => {
    const name = view.getUint32(at, true);
    if (name >= base.strings)
      view.setUint32(at, base.strings + script.stringShift + strings.at(name - base.strings), true);
    else if (name > 0) {
      see(at, name, true);
      view.setUint32(at, memory.strings.moved(name), true);
    }
  };
  for (let type = 0; type + 1 < starts.length; type++) visitReferences(old, type, moveId, moveName);
  const newTypesSize = newSize(script.typeBytes);
  view.setUint32(12, newTypesSize, true);
  view.setUint32(16, newTypesSize, true);
  view.setUint32(20, newSize(script.strings), true);
}
