/**
 * Huffman code lengths as zlib and gzip give them. Any code of least cost would compress as well; to give back the same
 * bytes, ties must be broken the same way: a heap, in which of two nodes of the same weight the lower tree comes first, and
 * overlong codes shortened from the least frequent up (zlib's algorithm.txt, and the behaviour of its trees).
 */

/** A code over `frequencies.length` symbols. */
export interface HuffmanCode {
  readonly lengths: Uint8Array;
  /** The greatest symbol that has a code. */
  readonly last: number;
}

/**
 * @param frequencies how often each symbol occurs; not changed.
 * @param maxBits no code becomes longer.
 */
export function codeLengths(frequencies: Uint32Array, maxBits: number): HuffmanCode {
  const count = frequencies.length;
  const weight = new Float64Array(2 * count + 1);
  const depth = new Uint16Array(2 * count + 1);
  const heap = new Heap(weight, depth);
  let last = -1;
  for (let symbol = 0; symbol < count; symbol++) {
    const frequency = frequencies[symbol] as number;
    if (frequency === 0) continue;
    weight[symbol] = frequency;
    heap.add(symbol);
    last = symbol;
  }
  // A decoder wants two codes at least; zlib invents the lowest symbols for that.
  while (heap.size < 2) {
    const symbol = last < 2 ? ++last : 0;
    weight[symbol] = 1;
    heap.add(symbol);
  }
  heap.order();
  return { lengths: limitLengths(joinNodes(heap, weight, depth, count), count, last, maxBits), last };
}

/** The tree, bottom up. */
interface Tree {
  readonly parent: Int32Array;
  /** All nodes but in the order in which they were joined, the heaviest (the root) last. */
  readonly joined: Int32Array;
}

function joinNodes(heap: Heap, weight: Float64Array, depth: Uint16Array, count: number): Tree {
  const parent = new Int32Array(2 * count + 1).fill(-1);
  const joined = new Int32Array(2 * heap.size - 1);
  let at = 0;
  let node = count;
  for (;;) {
    const light = heap.takeFirst();
    const other = heap.first;
    joined[at++] = light;
    joined[at++] = other;
    weight[node] = (weight[light] as number) + (weight[other] as number);
    depth[node] = Math.max(depth[light] as number, depth[other] as number) + 1;
    parent[light] = node;
    parent[other] = node;
    heap.replaceFirst(node);
    node++;
    if (heap.size < 2) break;
  }
  joined[at] = heap.first;
  return { parent, joined };
}

function limitLengths({ parent, joined }: Tree, count: number, last: number, maxBits: number): Uint8Array {
  const bitsOf = new Uint8Array(parent.length);
  const perLength = new Int32Array(maxBits + 1);
  let overlong = 0;
  for (let at = joined.length - 2; at >= 0; at--) {
    const node = joined[at] as number;
    let bits = (bitsOf[parent[node] as number] as number) + 1;
    if (bits > maxBits) {
      bits = maxBits;
      overlong++;
    }
    bitsOf[node] = bits;
    if (node < count) perLength[bits] = (perLength[bits] as number) + 1;
  }
  if (overlong > 0) {
    for (; overlong > 0; overlong -= 2) {
      let bits = maxBits - 1;
      while (perLength[bits] === 0) bits--;
      perLength[bits] = (perLength[bits] as number) - 1;
      perLength[bits + 1] = (perLength[bits + 1] as number) + 2;
      perLength[maxBits] = (perLength[maxBits] as number) - 1;
    }
    // The longest codes to the lightest leaves.
    let at = 0;
    for (let bits = maxBits; bits > 0; bits--) {
      for (let left = perLength[bits] as number; left > 0; ) {
        const node = joined[at++] as number;
        if (node >= count) continue;
        bitsOf[node] = bits;
        left--;
      }
    }
  }
  return bitsOf.slice(0, last + 1);
}

/** A binary heap of nodes, the lightest first; of the same weight the one with the lower tree. */
class Heap {
  size = 0;
  readonly #nodes: Int32Array;
  readonly #weight: Float64Array;
  readonly #depth: Uint16Array;

  constructor(weight: Float64Array, depth: Uint16Array) {
    this.#nodes = new Int32Array(weight.length + 1);
    this.#weight = weight;
    this.#depth = depth;
  }

  /** The nodes are in order only after {@link order}. */
  add(node: number): void {
    this.#nodes[++this.size] = node;
  }

  order(): void {
    for (let at = this.size >> 1; at >= 1; at--) this.#sink(at);
  }

  get first(): number {
    return this.#nodes[1] as number;
  }

  takeFirst(): number {
    const first = this.first;
    this.#nodes[1] = this.#nodes[this.size--] as number;
    this.#sink(1);
    return first;
  }

  replaceFirst(node: number): void {
    this.#nodes[1] = node;
    this.#sink(1);
  }

  #sink(from: number): void {
    const nodes = this.#nodes;
    const node = nodes[from] as number;
    let at = from;
    for (let child = 2 * at; child <= this.size; child = 2 * at) {
      if (child < this.size && this.#before(nodes[child + 1] as number, nodes[child] as number)) child++;
      const lower = nodes[child] as number;
      if (this.#before(node, lower)) break;
      nodes[at] = lower;
      at = child;
    }
    nodes[at] = node;
  }

  #before(a: number, b: number): boolean {
    const x = this.#weight[a] as number;
    const y = this.#weight[b] as number;
    return x < y || (x === y && (this.#depth[a] as number) <= (this.#depth[b] as number));
  }
}
