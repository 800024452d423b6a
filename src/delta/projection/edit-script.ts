/**
 * How a section of an old file becomes that of a new one: runs of it that stay, and between two of them what goes and what comes. It is
 * counted in rows (of a table) when it is stored, in bytes when places are mapped.
 */
import type { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { damagedDelta } from '../damage.ts';

/**
 * Runs that stay, in the order of both files, none overlapping. The last one is empty and stands at the ends of both: its places are the
 * sizes.
 */
export interface EditScript {
  readonly oldAt: Uint32Array;
  readonly newAt: Uint32Array;
  readonly lengths: Uint32Array;
}

/** Rows of the new section. */
export function newSize({ newAt }: EditScript): number {
  return newAt[newAt.length - 1]!;
}

/** Whether nothing comes or goes. */
export function isIdentity({ oldAt, newAt, lengths }: EditScript): boolean {
  const last = oldAt.length - 1;
  return oldAt[last] === newAt[last] && (last === 0 ? oldAt[0] === 0 : last === 1 && lengths[0] === oldAt[1]);
}

/** Builds a script run by run; neighbours with the same shift become one, whatever lies between them. */
export class ScriptBuilder {
  readonly #oldAt: number[] = [];
  readonly #newAt: number[] = [];
  readonly #lengths: number[] = [];

  /** Runs come in the order of both files. */
  add(oldAt: number, newAt: number, length: number): void {
    if (length === 0) return;
    const last = this.#oldAt.length - 1;
    if (last >= 0 && newAt - oldAt === this.#newAt[last]! - this.#oldAt[last]!) {
      this.#lengths[last] = oldAt + length - this.#oldAt[last]!;
    } else if (last < 0 && oldAt === newAt) {
      this.#push(0, 0, oldAt + length);
    } else {
      this.#push(oldAt, newAt, length);
    }
  }

  #push(oldAt: number, newAt: number, length: number): void {
    this.#oldAt.push(oldAt);
    this.#newAt.push(newAt);
    this.#lengths.push(length);
  }

  /** @param oldRows of the whole old section; `newRows` of the new one. */
  finish(oldRows: number, newRows: number): EditScript {
    const last = this.#oldAt.length - 1;
    if (last < 0 && oldRows === newRows) this.#push(0, 0, oldRows);
    else if (last >= 0 && newRows - oldRows === this.#newAt[last]! - this.#oldAt[last]!)
      this.#lengths[last] = oldRows - this.#oldAt[last]!;
    this.#push(oldRows, newRows, 0);
    return {
      oldAt: Uint32Array.from(this.#oldAt),
      newAt: Uint32Array.from(this.#newAt),
      lengths: Uint32Array.from(this.#lengths),
    };
  }
}

/** The same script in other units: each row `numerator / denominator` times as large, without rest. */
export function scaled({ oldAt, newAt, lengths }: EditScript, numerator: number, denominator = 1): EditScript {
  const scale = (value: number) => (value / denominator) * numerator;
  return { oldAt: oldAt.map(scale), newAt: newAt.map(scale), lengths: lengths.map(scale) };
}

/** The gaps between runs: their number, then for each the rows that stay before it, that go and that come. */
export function writeScript(writer: ByteWriter, { oldAt, newAt, lengths }: EditScript): void {
  const gaps: number[] = [];
  let oldEnd = 0;
  let newEnd = 0;
  let kept = 0;
  for (let run = 0; run < oldAt.length; run++) {
    const goes = oldAt[run]! - oldEnd;
    const comes = newAt[run]! - newEnd;
    if (goes > 0 || comes > 0) gaps.push(kept, goes, comes);
    kept = lengths[run]!;
    oldEnd = oldAt[run]! + kept;
    newEnd = newAt[run]! + kept;
  }
  writer.varint(gaps.length / 3);
  for (const number of gaps) writer.varint(number);
}

/**
 * @param oldRows of the old section
 * @param limit rows that the new one may have
 * @throws OsupdError `damaged-delta` for a script that does not fit them.
 */
export function readScript(reader: ByteReader, oldRows: number, limit: number): EditScript {
  const gaps = reader.varint('number of changes');
  if (gaps > reader.remaining / 3) throw damagedDelta('a projection has more changes than bytes');
  const builder = new ScriptBuilder();
  let oldEnd = 0;
  let newEnd = 0;
  for (let gap = 0; gap < gaps; gap++) {
    const kept = reader.varint('length of a run');
    const goes = reader.varint('number of rows that go');
    const comes = reader.varint('number of rows that come');
    builder.add(oldEnd, newEnd, kept);
    oldEnd += kept + goes;
    newEnd += kept + comes;
    if (oldEnd > oldRows || newEnd > limit) throw damagedDelta('a projection changes more rows than there are');
  }
  builder.add(oldEnd, newEnd, oldRows - oldEnd);
  const newRows = newEnd + oldRows - oldEnd;
  if (newRows > limit) throw damagedDelta('a projection changes more rows than there are');
  return builder.finish(oldRows, newRows);
}

/** Maps places in an old section to the new one. Fast for places that follow one another. */
export class PlaceMap {
  readonly script: EditScript;
  #run = 0;

  /** @param script in bytes */
  constructor(script: EditScript) {
    this.script = script;
  }

  /** The last run that begins at or before a place; -1 before the first. */
  #find(place: number): number {
    const { oldAt } = this.script;
    let run = this.#run;
    if (run >= 0 && oldAt[run]! <= place && (run + 1 === oldAt.length || place < oldAt[run + 1]!)) return run;
    let low = 0;
    let high = oldAt.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (oldAt[middle]! <= place) low = middle + 1;
      else high = middle;
    }
    run = low - 1;
    this.#run = run;
    return run;
  }

  /** Where a place is now. What went is mapped to what came in its stead; a negative place stays, one behind the end moves as the end. */
  at(place: number): number {
    const { oldAt, newAt, lengths } = this.script;
    if (place < 0) return place;
    const run = this.#find(place);
    if (run < 0) return Math.min(place, newAt[0]!);
    const moved = place - oldAt[run]! + newAt[run]!;
    if (run + 1 === oldAt.length || place < oldAt[run]! + lengths[run]!) return moved;
    return Math.min(moved, newAt[run + 1]!);
  }

  /** Where the end of something is now: right behind its last byte. */
  endAt(place: number): number {
    if (place <= 0) return place;
    const { oldAt, newAt, lengths } = this.script;
    const run = this.#find(place - 1);
    if (run + 1 < oldAt.length && place === oldAt[run + 1]! && (run < 0 || place > oldAt[run]! + lengths[run]!))
      return newAt[run + 1]!;
    return this.at(place - 1) + 1;
  }

  /** Whether a place is in a run that stays. */
  stays(place: number): boolean {
    const run = this.#find(place);
    return run >= 0 && place < this.script.oldAt[run]! + this.script.lengths[run]!;
  }
}
