/**
 * The projection of relocatable files, as kernel modules are: rebuilds the old file section by section with the sizes and offsets of the new
 * one, and moves relocations, symbols and everything else that counts places or rows.
 */
import { EM_AARCH64, EM_X86_64 } from './elf.ts';
import { newByteClasses, type Projection } from './projection.ts';
import { describeRelocatable } from './relocatable-describe.ts';
import { RelocatableMemory } from './relocatable-memory.ts';
import { readPlan } from './relocatable-plan.ts';
import { Rebuilder } from './relocatable-rebuilder.ts';
import { readRelocatable } from './relocatable-sections.ts';

export const relocatable: Projection = {
  name: 'relocatable',
  describe(old, next) {
    const oldFile = readRelocatable(old);
    const newFile = readRelocatable(next);
    if (oldFile === undefined || newFile === undefined) return undefined;
    if (oldFile.elf.machine !== EM_X86_64 && oldFile.elf.machine !== EM_AARCH64) return undefined;
    return describeRelocatable(oldFile, newFile);
  },
  project(old, nextSize, description, memory) {
    const file = readRelocatable(old);
    if (file === undefined) return { bytes: old, classes: newByteClasses(old.length) };
    return new Rebuilder(file, readPlan(file, description, nextSize), nextSize, memory.of(RelocatableMemory)).rebuild();
  },
};
