/** Rebuilds a section of BTF with the types and strings of the new one. */
import { BTF_HEADER_BYTES, type Btf, type BtfBase, guessBase, visitReferences } from './btf.ts';
import { type BtfScript, newTypeBytes, orderStrings, type TypeRun } from './btf-script.ts';
import { newSize, PlaceMap } from './edit-script.ts';
import type { RelocatableMemory } from './relocatable-memory.ts';

/** For each old type its new number, counted from the module's first. What went is what came in its stead, or stays as it is. */
function typeNumbers(count: number, runs: readonly TypeRun[]): Uint32Array {
  const numbers = Uint32Array.from({ length: count }, (_, type) => type);
  for (const { oldAt, newAt, length, goes, comes } of runs) {
    for (let step = 0; step < length; step++) numbers[oldAt + step] = newAt + step;
    for (let step = 0; step < goes; step++) numbers[oldAt + length + step] = newAt + length + Math.min(step, comes);
  }
  return numbers;
}

/**
 * @param target of the new section's size, zero
 * @param see is told every number that means something of the kernel's: its offset in the target, and the old number
 */
export function rebuildBtf(
  old: Btf,
  script: BtfScript,
  memory: RelocatableMemory,
  target: DataView,
  see: (at: number, number: number, isName: boolean) => void,
): void {
  const mover = new BtfMover(old, script, memory, target, see);
  mover.writeHeader();
  mover.writeTypes();
  mover.writeStrings();
}

class BtfMover {
  readonly #old: Btf;
  readonly #script: BtfScript;
  readonly #memory: RelocatableMemory;
  readonly #target: DataView;
  readonly #bytes: Uint8Array;
  readonly #see: (at: number, number: number, isName: boolean) => void;
  readonly #base: BtfBase;
  readonly #types: Uint32Array;
  readonly #ordered: { readonly bytes: Uint8Array; readonly places: Uint32Array };
  readonly #strings: PlaceMap;
  /** From an offset in the old section to that in the target, for the type that is written. */
  #shift = 0;

  constructor(
    old: Btf,
    script: BtfScript,
    memory: RelocatableMemory,
    target: DataView,
    see: (at: number, number: number, isName: boolean) => void,
  ) {
    this.#old = old;
    this.#script = script;
    this.#memory = memory;
    this.#target = target;
    this.#bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
    this.#see = see;
    this.#base = guessBase(old);
    this.#types = typeNumbers(old.starts.length - 1, script.runs);
    this.#ordered = orderStrings(old, this.#base, script.runs);
    this.#strings = new PlaceMap(script.strings);
  }

  #copy(from: number, length: number, to: number): void {
    const { buffer, byteOffset } = this.#old.view;
    this.#bytes.set(new Uint8Array(buffer, byteOffset + from, length), to);
  }

  writeHeader(): void {
    this.#copy(0, BTF_HEADER_BYTES, 0);
    const typeBytes = newTypeBytes(this.#old, this.#script.runs);
    this.#target.setUint32(12, typeBytes, true);
    this.#target.setUint32(16, typeBytes, true);
    this.#target.setUint32(20, newSize(this.#script.strings), true);
  }

  writeTypes(): void {
    const { starts } = this.#old;
    let end = BTF_HEADER_BYTES;
    for (const { oldAt, length, goes, words } of this.#script.runs) {
      const gone = oldAt + length;
      this.#writeRun(oldAt, gone, end);
      end += starts[gone]! - starts[oldAt]!;
      // Where something else comes, what went is put as far as it fits.
      let last = gone;
      while (last < gone + goes && starts[last + 1]! - starts[gone]! <= words * 4) last++;
      this.#writeRun(gone, last, end);
      end += words * 4;
    }
  }

  /** Types from one to another one, which follow one another in the target as well. */
  #writeRun(first: number, last: number, to: number): void {
    const from = this.#old.starts[first]!;
    this.#copy(from, this.#old.starts[last]! - from, to);
    this.#shift = to - from;
    for (let type = first; type < last; type++) visitReferences(this.#old, type, this.#writeId, this.#writeName);
  }

  readonly #writeId = (at: number): void => {
    const id = this.#old.view.getUint32(at, true);
    const own = id - this.#base.types;
    const to = at + this.#shift;
    if (own < 0) {
      this.#see(to, id, false);
      this.#target.setUint32(to, this.#memory.types.moved(id), true);
    } else {
      const moved = own < this.#types.length ? this.#types[own]! : own;
      this.#target.setUint32(to, this.#base.types + this.#script.typeShift + moved, true);
    }
  };

  readonly #writeName = (at: number): void => {
    const name = this.#old.view.getUint32(at, true);
    const own = name - this.#base.strings;
    const to = at + this.#shift;
    if (name === 0) return;
    if (own < 0) {
      this.#see(to, name, true);
      this.#target.setUint32(to, this.#memory.strings.moved(name), true);
    } else {
      const place = own < this.#ordered.places.length ? this.#ordered.places[own]! : 0;
      const moved = place === 0 ? own : this.#strings.at(place - 1);
      this.#target.setUint32(to, this.#base.strings + this.#script.stringShift + moved, true);
    }
  };

  writeStrings(): void {
    const { oldAt, newAt, lengths } = this.#script.strings;
    const from = this.#bytes.length - newSize(this.#script.strings);
    for (let run = 0; run < oldAt.length; run++)
      this.#bytes.set(this.#ordered.bytes.subarray(oldAt[run]!, oldAt[run]! + lengths[run]!), from + newAt[run]!);
  }
}
