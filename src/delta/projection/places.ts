/**
 * How the insides of sections move: a list of pieces for each section, each with its place in the old section and how far it moves within
 * the section. It need not grow: functions change their order.
 */
import type { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { badDescription, readSigned, writeSigned } from './numbers.ts';
import type { PlacedSection } from './section-moves.ts';

/** The pieces of one section. Before the first one nothing moves. */
export interface SectionPieces {
  /** Places in the old section where pieces begin, ascending. */
  readonly starts: Uint32Array;
  /** How much farther from the section's start they are in the new one. */
  readonly shifts: Int32Array;
}

/** Nothing moves within the section. */
export const NO_PIECES: SectionPieces = { starts: new Uint32Array(0), shifts: new Int32Array(0) };

/** By how much a section seems to grow: its end goes where its last piece does. */
export function growthOf({ shifts }: SectionPieces): number {
  return shifts.at(-1) ?? 0;
}

/** Writes the pieces of all sections, as {@link readPieces} reads them: numbers of one kind together. */
export function writePieces(out: ByteWriter, pieces: readonly SectionPieces[]): void {
  for (const { starts } of pieces) out.varint(starts.length);
  for (const { starts } of pieces) {
    let last = 0;
    for (const start of starts) {
      out.varint(start - last);
      last = start;
    }
  }
  for (const { shifts } of pieces) {
    let last = 0;
    for (const shift of shifts) {
      writeSigned(out, shift - last);
      last = shift;
    }
  }
}

/** @throws OsupdError `damaged-delta` */
export function readPieces(reader: ByteReader, sections: readonly PlacedSection[]): SectionPieces[] {
  let all = 0;
  const pieces = sections.map(() => {
    const count = reader.varint('a number of pieces');
    all += count;
    // Those of all sections together: each takes two bytes or more of what is left.
    if (2 * all > reader.remaining) throw badDescription('there are too many pieces', reader.offset);
    return { starts: new Uint32Array(count), shifts: new Int32Array(count) };
  });
  for (const [number, { starts }] of pieces.entries()) {
    let last = 0;
    for (let piece = 0; piece < starts.length; piece++) {
      last += reader.varint("a piece's start");
      if (last >= sections[number]!.old.size) throw badDescription('a piece is outside its section', reader.offset);
      starts[piece] = last;
    }
  }
  for (const { shifts } of pieces) {
    let last = 0;
    for (let piece = 0; piece < shifts.length; piece++) {
      last += readSigned(reader, "a piece's shift");
      if (last !== (last | 0)) throw badDescription('a piece moves too far', reader.offset);
      shifts[piece] = last;
    }
  }
  return pieces;
}
