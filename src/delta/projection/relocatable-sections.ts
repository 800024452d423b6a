/** The sections of a relocatable ELF file: what each holds, and where those of a new file are in it. */
import type { ByteString } from '../../core/bytes.ts';
import { type Btf, readBtf } from './btf.ts';
import {
  type Elf,
  type ElfSection,
  ET_REL,
  RELA_BYTES,
  readElf,
  SHF_EXECINSTR,
  SHT_NOBITS,
  SHT_RELA,
  SHT_SYMTAB,
  SYMBOL_BYTES,
} from './elf.ts';

/** How a section is aligned with its old one and rewritten. */
export type SectionRole = 'bytes' | 'code' | 'empty' | 'table' | 'relocations' | 'symbols' | 'btf';

/** Bytes of a row of the tables that compilers, objtool and the kernel's macros write; their contents are mostly relocated. */
const TABLE_ROWS: ReadonlyMap<ByteString, number> = new Map([
  ['.altinstructions', 12],
  ['.call_sites', 4],
  ['.ibt_endbr_seal', 4],
  ['.orc_unwind', 6],
  ['.orc_unwind_ip', 4],
  ['.parainstructions', 16],
  ['.retpoline_sites', 4],
  ['.return_sites', 4],
  ['.smp_locks', 4],
  ['.static_call_sites', 8],
  ['__bpf_raw_tp_map', 32],
  ['__bug_table', 12],
  ['__dyndbg', 56],
  ['__ex_table', 12],
  ['__jump_table', 16],
  ['__kcrctab', 4],
  ['__kcrctab_gpl', 4],
  ['__ksymtab', 12],
  ['__ksymtab_gpl', 12],
  ['__mcount_loc', 8],
  ['__param', 40],
  ['__patchable_function_entries', 8],
  ['__tracepoints_ptrs', 4],
  ['__versions', 64],
  ['_ftrace_eval_map', 8],
  ['_ftrace_events', 8],
]);

/** Tables whose rows are those of another. */
export const PARALLEL_TABLES: ReadonlyMap<ByteString, ByteString> = new Map([
  ['.orc_unwind', '.orc_unwind_ip'],
  ['__kcrctab', '__ksymtab'],
  ['__kcrctab_gpl', '__ksymtab_gpl'],
]);

export interface RelocatableSection extends ElfSection {
  readonly role: SectionRole;
  /** Bytes of what its edit script counts. */
  readonly rowBytes: number;
  /** Its content, where its role is that. */
  readonly btf: Btf | undefined;
}

/** A relocatable file all of whose sections are readable. */
export interface Relocatable {
  readonly elf: Elf;
  /** By index, the empty first one as undefined. */
  readonly sections: readonly (RelocatableSection | undefined)[];
}

function withRole(elf: Elf, section: ElfSection): RelocatableSection {
  const { type, size, entrySize, flags, name } = section;
  const of = (role: SectionRole, rowBytes: number, btf?: Btf) => ({ ...section, role, rowBytes, btf });
  if (type === SHT_NOBITS) return of('empty', 1);
  if (type === SHT_RELA && entrySize === RELA_BYTES && size % RELA_BYTES === 0) return of('relocations', RELA_BYTES);
  if (type === SHT_SYMTAB && entrySize === SYMBOL_BYTES && size % SYMBOL_BYTES === 0)
    return of('symbols', SYMBOL_BYTES);
  const rowBytes = TABLE_ROWS.get(name);
  if (rowBytes !== undefined && size % rowBytes === 0) return of('table', rowBytes);
  const btf = name === '.BTF' ? readBtf(viewOf(elf, section)) : undefined;
  if (btf !== undefined) return of('btf', 1, btf);
  return of((flags & SHF_EXECINSTR) !== 0 ? 'code' : 'bytes', 1);
}

/** A section's bytes. */
export function viewOf({ bytes }: Elf, { offset, size }: ElfSection): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset + offset, size);
}

/** @returns undefined for anything but a relocatable file whose section headers are all sound. */
export function readRelocatable(bytes: Uint8Array): Relocatable | undefined {
  const elf = readElf(bytes);
  if (elf === undefined || elf.type !== ET_REL || elf.sectionCount < 2) return undefined;
  // One that has no bytes in the file can be of any size.
  if (elf.sections.some(({ size }) => size > 0xffff_ffff)) return undefined;
  // Those of type 0 are left out by the reader, and so are unreadable ones.
  if (elf.sections.length !== elf.sectionCount - 1) return undefined;
  const sections: (RelocatableSection | undefined)[] = [undefined];
  for (const section of elf.sections) sections.push(withRole(elf, section));
  return { elf, sections };
}

/** Numbers the sections of one name, so that each has a name of its own. */
function distinctNames(sections: readonly (ElfSection | undefined)[]): string[] {
  const counts = new Map<string, number>();
  return sections.map((section) => {
    const name = section?.name ?? '';
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    return `${name}\0${count}`;
  });
}

/** For each new section (by index) the old one of its name and type, 0 where there is none. */
export function matchSections(old: Relocatable, next: Relocatable): number[] {
  const byName = new Map(distinctNames(old.sections).map((name, index) => [name, index]));
  return distinctNames(next.sections).map((name, index) => {
    const match = index === 0 ? 0 : (byName.get(name) ?? 0);
    return match !== 0 && old.sections[match]!.type === next.sections[index]!.type ? match : 0;
  });
}
