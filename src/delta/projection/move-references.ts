/** All that is rewritten in a linked file. */
import { Aarch64Sweep } from './aarch64.ts';
import { moveDynamicTables } from './dynamic.ts';
import { EhFrame, moveEhFrameHeader } from './eh-frame.ts';
import { EM_AARCH64, ET_EXEC, SHT_PROGBITS } from './elf.ts';
import { moveHeaders } from './headers.ts';
import { isKernel, mayHoldAddresses, moveKernelTables } from './kernel-tables.ts';
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
  const x86 = new X86Sweep(file, taken);
  const aarch64 = new Aarch64Sweep(file);
  for (const { old, oldAddress, executable } of file.moves) {
    if (!executable || old.type !== SHT_PROGBITS) continue;
    const range = { offset: old.offset, size: old.size, address: oldAddress };
    if (file.elf.machine === EM_AARCH64) aarch64.sweep(range, functions);
    else x86.sweep(range, functions, old.name === '.plt' ? file.named('.rela.plt') : undefined);
  }
  for (const section of file.moves) {
    if (!isPlainData(section.old)) continue;
    moveJumpTables(file, section, taken);
    if (file.elf.type === ET_EXEC && mayHoldAddresses(section)) moveAddresses(file, section);
  }
  if (isKernel(file)) moveKernelTables(file);
  moveDynamicTables(file);
  moveHeaders(file);
}
