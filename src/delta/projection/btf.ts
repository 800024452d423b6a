/**
 * BTF, the type information of kernels and their modules (Documentation/bpf/btf.rst). A module's types are numbered on from those of
 * the kernel, and so are the offsets of their names from the kernel's strings: the lower numbers mean the kernel's own.
 */
import { MAX_BTF_TYPES } from '../../core/limits.ts';

export const BTF_HEADER_BYTES = 24;
const TYPE_BYTES = 12;
const KIND_FUNC = 12;
const KIND_FUNC_PROTO = 13;
const MAGIC = 0xeb9f;

/** How the types of a kind are laid out after their name, their info, and a size or type. */
interface KindLayout {
  /** The third word is the id of a type. */
  readonly refers: boolean;
  /** Bytes that follow, once or for each member (`vlen`). */
  readonly bytes: number;
  readonly repeats: boolean;
  /** Offsets in these of a name (-1: none) and of ids. */
  readonly nameAt: number;
  readonly idsAt: readonly number[];
}

function layout(refers: boolean, bytes = 0, repeats = false, nameAt = -1, idsAt: readonly number[] = []): KindLayout {
  return { refers, bytes, repeats, nameAt, idsAt };
}

const MODIFIER = layout(true);
const STRUCT = layout(false, 12, true, 0, [4]);

/** By kind, from 1. */
const KINDS: readonly (KindLayout | undefined)[] = [
  undefined,
  layout(false, 4), // int
  MODIFIER, // pointer
  layout(false, 12, false, -1, [0, 4]), // array
  STRUCT,
  STRUCT, // union
  layout(false, 8, true, 0), // enum
  layout(false), // forward
  MODIFIER, // typedef
  MODIFIER, // volatile
  MODIFIER, // const
  MODIFIER, // restrict
  MODIFIER, // function
  layout(true, 8, true, 0, [4]), // function prototype
  layout(true, 4), // variable
  layout(false, 12, true, -1, [0]), // data section
  layout(false), // float
  layout(true, 4), // declaration tag
  MODIFIER, // type tag
  layout(false, 12, true, 0), // 64-bit enum
];

/** The parts of a BTF section. */
export interface Btf {
  readonly view: DataView;
  readonly typesAt: number;
  /** Offset of each type in the section, and behind the last one of the end of all. */
  readonly starts: Uint32Array;
  readonly stringsAt: number;
  readonly stringsSize: number;
}

function kindOf(view: DataView, at: number): number {
  return (view.getUint32(at + 4, true) >>> 24) & 31;
}

function memberCount(view: DataView, at: number): number {
  return view.getUint16(at + 4, true);
}

/** @returns undefined for anything but a header, types and strings one behind another that fill the section, and for too many types. */
export function readBtf(view: DataView): Btf | undefined {
  if (view.byteLength < BTF_HEADER_BYTES || view.getUint16(0, true) !== MAGIC) return undefined;
  if (view.getUint32(4, true) !== BTF_HEADER_BYTES || view.getUint32(8, true) !== 0) return undefined;
  const typesSize = view.getUint32(12, true);
  const stringsSize = view.getUint32(20, true);
  if (view.getUint32(16, true) !== typesSize || BTF_HEADER_BYTES + typesSize + stringsSize !== view.byteLength)
    return undefined;
  const end = BTF_HEADER_BYTES + typesSize;
  const starts: number[] = [];
  let at = BTF_HEADER_BYTES;
  while (at < end) {
    if (at + TYPE_BYTES > end) return undefined;
    const kind = KINDS[kindOf(view, at)];
    if (kind === undefined || starts.length === MAX_BTF_TYPES) return undefined;
    starts.push(at);
    at += TYPE_BYTES + kind.bytes * (kind.repeats ? memberCount(view, at) : 1);
  }
  if (at !== end) return undefined;
  starts.push(end);
  return { view, typesAt: BTF_HEADER_BYTES, starts: Uint32Array.from(starts), stringsAt: end, stringsSize };
}

/** Calls back with the offset of every id and every name offset of a type, in the order of the file. */
export function visitReferences(
  { view, starts }: Btf,
  type: number,
  visitId: (at: number) => void,
  visitName: (at: number) => void,
): void {
  const start = starts[type]!;
  const kind = KINDS[kindOf(view, start)]!;
  visitName(start);
  if (kind.refers) visitId(start + 8);
  if (kind.bytes === 0) return;
  for (let at = start + TYPE_BYTES; at < starts[type + 1]!; at += kind.bytes) {
    if (kind.nameAt >= 0) visitName(at + kind.nameAt);
    for (const idAt of kind.idsAt) visitId(at + idAt);
  }
}

/** Where a module's own numbers begin. */
export interface BtfBase {
  /** Id of its first type. */
  readonly types: number;
  /** Offset of its first string. */
  readonly strings: number;
}

/** Larger than any id or offset: nothing is the module's own. */
const NONE = 2 ** 32;

/**
 * Nothing says where the kernel's numbers end, but: the last string is the name with the largest offset; and most functions stand right
 * behind their prototype.
 */
export function guessBase(btf: Btf): BtfBase {
  const { view, starts, stringsAt, stringsSize } = btf;
  let lastName = 0;
  const votes = new Map<number, number>();
  let best = NONE;
  let bestVotes = 0;
  const seeName = (at: number) => {
    const name = view.getUint32(at, true);
    if (name > lastName) lastName = name;
  };
  for (let type = 0; type + 1 < starts.length; type++) {
    visitReferences(btf, type, () => {}, seeName);
    if (type === 0 || kindOf(view, starts[type]!) !== KIND_FUNC || kindOf(view, starts[type - 1]!) !== KIND_FUNC_PROTO)
      continue;
    const base = view.getUint32(starts[type]! + 8, true) - (type - 1);
    const count = (votes.get(base) ?? 0) + 1;
    votes.set(base, count);
    if (base > 0 && count > bestVotes) {
      best = base;
      bestVotes = count;
    }
  }
  let lastString = stringsSize - 1;
  while (lastString > 0 && view.getUint8(stringsAt + lastString - 1) !== 0) lastString--;
  return { types: best, strings: stringsSize === 0 ? NONE : lastName - lastString };
}

function mix(hash: number, value: number): number {
  const product = Math.imul(hash ^ value, 0x9e37_79b1);
  return product ^ (product >>> 15);
}

/**
 * A key for each type: alike where two types are likely the same in two kernels. Made of everything that does not change with numbering:
 * kinds, sizes, names of its own and, by some rounds, the keys of the types that it refers to.
 */
export function typeKeys(btf: Btf, base: BtfBase): Uint32Array {
  const { view, starts, stringsAt, stringsSize } = btf;
  const count = starts.length - 1;
  const nameHash = (name: number): number => {
    if (name < base.strings) return name === 0 ? 0 : 1;
    let hash = 2;
    for (let at = name - base.strings; at < stringsSize; at++) {
      const byte = view.getUint8(stringsAt + at);
      if (byte === 0) break;
      hash = Math.imul(hash, 0x0100_0193) ^ byte;
    }
    return hash;
  };
  let keys = new Uint32Array(count);
  for (let type = 0; type < count; type++) {
    const start = starts[type]!;
    let hash = mix(view.getUint32(start + 4, true), starts[type + 1]! - start);
    if (!KINDS[kindOf(view, start)]!.refers) hash = mix(hash, view.getUint32(start + 8, true));
    visitReferences(
      btf,
      type,
      () => {},
      (at) => {
        hash = mix(hash, nameHash(view.getUint32(at, true)));
      },
    );
    keys[type] = hash;
  }
  for (let round = 0; round < 3; round++) {
    const next = new Uint32Array(count);
    for (let type = 0; type < count; type++) {
      let hash = keys[type]!;
      visitReferences(
        btf,
        type,
        (at) => {
          const own = view.getUint32(at, true) - base.types;
          hash = mix(hash, own >= 0 && own < count ? keys[own]! : 3);
        },
        () => {},
      );
      next[type] = hash;
    }
    keys = next;
  }
  return keys;
}
