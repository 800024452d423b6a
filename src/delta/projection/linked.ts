/**
 * Projection of linked ELF files: executables, shared objects, kernels. What the decoder is told besides the coarse map is where the
 * sections are in the new file.
 */
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import type { CoarseMap } from '../align/coarse-map.ts';
import { damagedPart } from '../damage.ts';
import { addressMapOf, baseAddress } from './address-map.ts';
import { moveDynamicTables } from './dynamic.ts';
import { EhFrame, moveEhFrameHeader } from './eh-frame.ts';
import {
  type Elf,
  EM_AARCH64,
  EM_X86_64,
  ET_DYN,
  ET_EXEC,
  readElf,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHT_PROGBITS,
} from './elf.ts';
import { moveHeaders } from './headers.ts';
import { LinkedFile } from './linked-file.ts';
import { isPlainData, moveAddresses, moveJumpTables, TakenAddresses } from './pointers.ts';
import { newByteClasses, type Projected, type Projection } from './projection.ts';
import { readSectionMoves, writeSectionMoves } from './section-moves.ts';
import { X86Sweep } from './x86-64.ts';

/** The linked file with sections that some bytes are. */
function readLinked(bytes: Uint8Array): Elf | undefined {
  const elf = readElf(bytes);
  if (elf === undefined || (elf.type !== ET_EXEC && elf.type !== ET_DYN)) return undefined;
  if (elf.machine !== EM_X86_64 && elf.machine !== EM_AARCH64) return undefined;
  return elf.sections.length === 0 ? undefined : elf;
}

/** The projection of linked files. */
export const linked: Projection = {
  name: 'elf-linked',
  usesMap: true,

  describe(old: Uint8Array, next: Uint8Array, map: CoarseMap): Uint8Array | undefined {
    const oldElf = readLinked(old);
    const newElf = readLinked(next);
    if (oldElf === undefined || newElf === undefined || oldElf.machine !== newElf.machine) return undefined;
    const out = new ByteWriter();
    writeSectionMoves(out, oldElf, newElf, map);
    return out.finish();
  },

  project(old: Uint8Array, _nextSize: number, coarse: CoarseMap, description: Uint8Array): Projected {
    const elf = readLinked(old);
    if (elf === undefined) return { bytes: old, classes: newByteClasses(old.length) };
    const reader = new ByteReader(description, damagedPart("projection's description"));
    const moves = readSectionMoves(reader, elf, coarse);
    const base = baseAddress(moves);
    const file = new LinkedFile(elf, moves, coarse, addressMapOf(moves, coarse, base), base);
    moveReferences(file);
    return { bytes: old, classes: file.classes };
  },
};

/** Rewrites everything. Each reference is read and rewritten at one place, so that the order does not matter. */
function moveReferences(file: LinkedFile): void {
  const unwind = file.named('.eh_frame');
  const functions = unwind?.old.type === SHT_PROGBITS ? new EhFrame(file, unwind).move() : new Uint32Array(0);
  const header = file.named('.eh_frame_hdr');
  if (header?.old.type === SHT_PROGBITS) moveEhFrameHeader(file, header);
  const taken = new TakenAddresses(file);
  const sweep = new X86Sweep(file, (target) => taken.add(target));
  for (const section of file.moves) {
    if ((section.old.flags & SHF_EXECINSTR) !== 0 && section.old.type === SHT_PROGBITS) {
      sweep.sweep(section, functions);
    }
  }
  for (const section of file.moves) {
    if (isPlainData(section.old)) moveJumpTables(file, section, taken);
  }
  if (file.elf.type === ET_EXEC) {
    for (const section of file.moves) {
      if (isPlainData(section.old) && (section.old.flags & SHF_ALLOC) !== 0) moveAddresses(file, section);
    }
  }
  moveDynamicTables(file);
  moveHeaders(file);
}
