/** All that is rewritten in a linked file. */
import { moveDynamicTables } from './dynamic.ts';
import { EhFrame, moveEhFrameHeader } from './eh-frame.ts';
import { ET_EXEC, SHT_PROGBITS } from './elf.ts';
import { moveHeaders } from './headers.ts';
import type { LinkedFile } from './linked-file.ts';
import { isPlainData, moveAddresses, moveJumpTables, TakenAddresses } from './pointers.ts';
import { X86Sweep } from './x86-64.ts';

/** Rewrites everything. Each reference is read and rewritten at one place, so that the order does not matter. */
export function moveReferences(file: LinkedFile): void {
  const unwind = file.named('.eh_frame');
  const functions = unwind?.old.type === SHT_PROGBITS ? new EhFrame(file, unwind).move() : new Uint32Array(0);
  const header = file.named('.eh_frame_hdr');
  if (header?.old.type === SHT_PROGBITS) moveEhFrameHeader(file, header);
  const taken = new TakenAddresses(file);
  const sweep = new X86Sweep(file, (target) => taken.add(target));
  for (const { old, oldAddress, executable } of file.moves) {
    if (executable && old.type === SHT_PROGBITS) {
      const relocations = old.name === '.plt' ? file.named('.rela.plt') : undefined;
      sweep.sweep({ offset: old.offset, size: old.size, address: oldAddress }, functions, relocations);
    }
  }
  for (const section of file.moves) {
    if (!isPlainData(section.old)) continue;
    moveJumpTables(file, section, taken);
    if (file.elf.type === ET_EXEC) moveAddresses(file, section);
  }
  moveDynamicTables(file);
  moveHeaders(file);
}
