/**
 * Projection of linked ELF files: executables, shared objects, kernels. The decoder is told where the sections are in the new file, and how
 * their insides move.
 */
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import type { CoarseMap } from '../align/coarse-map.ts';
import { addressMapOf } from './address-map.ts';
import { Anchors, Settler } from './anchors.ts';
import { type Elf, EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC, readElf } from './elf.ts';
import { findPieces, piecesOfMap } from './find-pieces.ts';
import { LinkedFile, POINTER, type Witness } from './linked-file.ts';
import { moveReferences } from './move-references.ts';
import { badDescription } from './numbers.ts';
import { growthOf, NO_PIECES, readPieces, type SectionPieces, writePieces } from './places.ts';
import { newByteClasses, type Projected, type Projection } from './projection.ts';
import {
  baseOf,
  findSectionMoves,
  placeSections,
  readSectionMoves,
  type SectionMove,
  unmoved,
  writeSectionMoves,
} from './section-moves.ts';

/** Searches of the encoder: each begins with what the one before found. */
const ROUNDS = 2;

/** The linked file with sections that some bytes are. */
function readLinked(bytes: Uint8Array): Elf | undefined {
  const elf = readElf(bytes);
  if (elf === undefined || (elf.type !== ET_EXEC && elf.type !== ET_DYN)) return undefined;
  if (elf.machine !== EM_X86_64 && elf.machine !== EM_AARCH64) return undefined;
  return elf.sections.length === 0 ? undefined : elf;
}

function rewrite(
  elf: Elf,
  moves: readonly SectionMove[],
  pieces: readonly SectionPieces[],
  base: number,
  witness?: Witness,
): { file: LinkedFile; anchors: Anchors } {
  const anchors = new Anchors(elf.bytes.length);
  const file = new LinkedFile(elf, moves, addressMapOf(moves, pieces), base, { witness, anchors });
  moveReferences(file);
  return { file, anchors };
}

/** A new file with its distances as addresses. */
function anchored(next: Uint8Array, base: number): Uint8Array {
  const elf = readLinked(Uint8Array.from(next));
  if (elf === undefined) return next;
  const moves = unmoved(placeSections(elf, base));
  return rewrite(
    elf,
    moves,
    moves.map(() => NO_PIECES),
    base,
  ).file.bytes;
}

/** The projection of linked files. */
export const linked: Projection = {
  name: 'elf-linked',

  describe(old: Uint8Array, next: Uint8Array, map: CoarseMap): Uint8Array | undefined {
    const oldElf = readLinked(old);
    const newElf = readLinked(next);
    if (oldElf === undefined || newElf === undefined || oldElf.machine !== newElf.machine) return undefined;
    const placed = placeSections(oldElf);
    const moves = findSectionMoves(placed, newElf);
    const comparable = anchored(next, placed.base);
    let pieces = piecesOfMap(moves, map);
    for (let round = 0; round < ROUNDS; round++) {
      pieces = findPieces(newElf, comparable, moves, placed.base, (witness) => {
        const copy = readLinked(Uint8Array.from(old))!;
        return rewrite(copy, moves, pieces, placed.base, witness).file.bytes;
      });
    }
    const out = new ByteWriter();
    writePieces(out, pieces);
    writeSectionMoves(out, placed, moves, pieces.map(growthOf));
    return out.finish();
  },

  comparable(old: Uint8Array, next: Uint8Array): Uint8Array {
    const elf = readLinked(old);
    return elf === undefined ? next : anchored(next, baseOf(elf));
  },

  project(old: Uint8Array, _nextSize: number, description: Uint8Array): Projected {
    const elf = readLinked(old);
    if (elf === undefined) return { bytes: old, classes: newByteClasses(old.length) };
    const reader = new ByteReader(description, badDescription);
    const placed = placeSections(elf);
    const pieces = readPieces(reader, placed.sections);
    const moves = readSectionMoves(reader, placed, pieces.map(growthOf));
    if (reader.remaining > 0) throw badDescription('there is more than was to be described', reader.offset);
    const { file, anchors } = rewrite(elf, moves, pieces, placed.base);
    const isInstruction = (at: number) => elf.machine === EM_AARCH64 && file.classOf(at) < POINTER;
    const settler = new Settler(old, anchors, moves, isInstruction);
    return {
      bytes: old,
      classes: file.classes,
      settle: (copied, oldAt, newAt) => settler.settle(copied, oldAt, newAt),
    };
  },
};
