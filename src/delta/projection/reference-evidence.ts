/** The references of an old file, as they are met while it is rewritten, and where their like refer to in the new file. */
import { lowBits, referent } from './aarch64.ts';
import { type Elf, signedWord } from './elf.ts';
import { grown } from './grown.ts';
import type { Witness } from './linked-file.ts';

/** The instruction ADRP, for what it is like. */
const ADRP = 0x90000000 | 0;

/** Forms of references. */
export const DISTANCE = 0;
const WORD = 1;
const ENTRY = 2;
const INSTRUCTION = 3;
const PAIR = 4;

/** What a witness was told, by number. */
export class ReferenceEvidence implements Witness {
  at = new Uint32Array(1 << 12);
  /** Of a distance the address that it is counted from, of a table's entry its size. */
  from = new Uint32Array(1 << 12);
  to = new Uint32Array(1 << 12);
  form = new Uint8Array(1 << 12);
  count = 0;

  #add(at: number, from: number, to: number, form: number): void {
    if (this.count === this.at.length) {
      const size = 2 * this.count;
      this.at = grown(this.at, new Uint32Array(size));
      this.from = grown(this.from, new Uint32Array(size));
      this.to = grown(this.to, new Uint32Array(size));
      this.form = grown(this.form, new Uint8Array(size));
    }
    const number = this.count++;
    this.at[number] = at;
    this.from[number] = from;
    this.to[number] = to;
    this.form[number] = form;
  }

  word(at: number, to: number): void {
    this.#add(at, 0, to, WORD);
  }

  distance(at: number, from: number, to: number): void {
    this.#add(at, from, to, DISTANCE);
  }

  instruction(at: number, address: number, to: number): void {
    this.#add(at, address, to, INSTRUCTION);
  }

  pair(at: number, pageFrom: number, to: number): void {
    this.#add(at, pageFrom, to, PAIR);
  }

  entry(at: number, entryBytes: number, to: number): void {
    this.#add(at, entryBytes, to, ENTRY);
  }
}

/** What is known of a reference in the old file. */
export interface OldReference {
  readonly form: number;
  /** As the witness got it: an address, or bytes of an entry. */
  readonly from: number;
  /** That address in the new file. */
  readonly newFrom: number;
  /** How far that address is before the reference. */
  readonly back: number;
  /** The old instruction. */
  readonly like: number;
  /** Where the table of entries is in the new file. */
  readonly entries: number;
}

/** What a place in the new file refers to: an address; undefined where it is no such reference. */
export function newReferent(
  next: Elf,
  base: number,
  at: number,
  { form, from, newFrom, back, like, entries }: OldReference,
): number | undefined {
  const { view } = next;
  switch (form) {
    case DISTANCE:
      return (newFrom + view.getInt32(at, true)) >>> 0;
    case WORD:
      return signedWord(view, at) - base;
    case ENTRY:
      return entries + view.getUint32(at, true) * from;
    case INSTRUCTION:
      return referent(view.getInt32(at, true), like, newFrom);
    default: {
      if (at < back) return undefined;
      const low = lowBits(view.getInt32(at, true));
      const page = referent(view.getInt32(at - back, true), ADRP, newFrom);
      return low < 0 || page === undefined ? undefined : (page + low) >>> 0;
    }
  }
}
