/** What a projection makes of an old file where nothing of its bytes moves but as a description says: helpers of the tests. */
import { ByteWriter } from '../../../src/core/bytes.ts';
import type { CoarseMap } from '../../../src/delta/align/coarse-map.ts';
import { readElf } from '../../../src/delta/projection/elf.ts';
import { linked } from '../../../src/delta/projection/linked.ts';
import { growthOf, NO_PIECES, type SectionPieces, writePieces } from '../../../src/delta/projection/places.ts';
import { RecordMemory } from '../../../src/delta/projection/projection.ts';
import { findSectionMoves, placeSections, writeSectionMoves } from '../../../src/delta/projection/section-moves.ts';

export const NO_MAP: CoarseMap = { oldAt: new Uint32Array(), newAt: new Uint32Array(), lengths: new Uint32Array() };

/** Places in an old section where pieces begin, and how much farther they are in the new one. */
export type Pieces = Readonly<Record<string, readonly (readonly [start: number, shift: number])[]>>;

/** Sections as in `next`, their insides by pieces. */
export function describeMoves(old: Uint8Array, next: Uint8Array, pieces: Pieces = {}): Uint8Array {
  const placed = placeSections(readElf(old)!);
  const moves = findSectionMoves(placed, readElf(next)!);
  const all = placed.sections.map(({ old: { name } }): SectionPieces => {
    const list = pieces[name];
    if (list === undefined) return NO_PIECES;
    return { starts: Uint32Array.from(list, ([start]) => start), shifts: Int32Array.from(list, ([, shift]) => shift) };
  });
  const out = new ByteWriter();
  writePieces(out, all);
  writeSectionMoves(out, placed, moves, all.map(growthOf));
  return out.finish();
}

/** The bytes of an old section, foretold for a section of the new file that begins at its first byte there. */
export function foretellSection(old: Uint8Array, next: Uint8Array, name: string, description: Uint8Array): Uint8Array {
  const projected = linked.project(Uint8Array.from(old), next.length, description, new RecordMemory());
  const from = readElf(old)!.sections.find((section) => section.name === name)!;
  const to = readElf(next)!.sections.find((section) => section.name === name)!;
  const copied = projected.bytes.slice(from.offset, from.offset + from.size);
  projected.settle?.(copied, from.offset, to.offset);
  return copied;
}
