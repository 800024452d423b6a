/** Small sections of BTF, as those of modules: what is not the module's own is given by numbers of the kernel. */

/** A type of the module by its index, or a type of the kernel by its id. */
export type TypeReference = { readonly own: number } | { readonly kernel: number };

export type TypePlan =
  | { readonly kind: 'pointer'; readonly to: TypeReference }
  | {
      readonly kind: 'structure';
      /** Of the module, or an offset in the kernel's strings. */
      readonly name: string | number;
      readonly members: readonly { readonly name: string | number; readonly type: TypeReference }[];
    }
  | { readonly kind: 'prototype'; readonly returns: TypeReference }
  | { readonly kind: 'function'; readonly name: string; readonly type: TypeReference };

/** Where the module's own numbers begin. */
export interface KernelSize {
  readonly types: number;
  readonly strings: number;
}

const KINDS = { pointer: 2, structure: 4, prototype: 13, function: 12 };

export function buildBtf(types: readonly TypePlan[], kernel: KernelSize): Uint8Array {
  const words: number[] = [];
  const strings = new Map<string, number>();
  let stringsEnd = 0;
  const nameOf = (name: string | number): number => {
    if (typeof name === 'number') return name;
    let at = strings.get(name);
    if (at === undefined) {
      at = stringsEnd;
      strings.set(name, at);
      stringsEnd += name.length + 1;
    }
    return kernel.strings + at;
  };
  const idOf = (type: TypeReference): number => ('own' in type ? kernel.types + type.own : type.kernel);
  for (const type of types) {
    const info = KINDS[type.kind] * 0x100_0000;
    if (type.kind === 'pointer') words.push(0, info, idOf(type.to));
    else if (type.kind === 'prototype') words.push(0, info, idOf(type.returns));
    else if (type.kind === 'function') words.push(nameOf(type.name), info, idOf(type.type));
    else {
      words.push(nameOf(type.name), info + type.members.length, type.members.length * 8);
      for (const [number, { name, type: id }] of type.members.entries())
        words.push(nameOf(name), idOf(id), number * 64);
    }
  }
  const text = Buffer.from([...strings.keys()].map((name) => `${name}\0`).join(''), 'latin1');
  const bytes = new Uint8Array(24 + words.length * 4 + text.length);
  const view = new DataView(bytes.buffer);
  const header = [0x0001_eb9f, 24, 0, words.length * 4, words.length * 4, text.length];
  for (const [number, word] of [...header, ...words].entries()) view.setUint32(number * 4, word, true);
  bytes.set(text, 24 + words.length * 4);
  return bytes;
}
