/** Exact reads and views of stretches from a stream of chunks. Nothing is copied but what crosses a chunk's border. */

export class ChunkReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #ended = false;
  #position = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Bytes given out so far. */
  get position(): number {
    return this.#position;
  }

  /** `length` bytes, or fewer where the stream ends; a view while the chunk holds them all. Meant for small reads. */
  async read(length: number): Promise<Uint8Array> {
    if (this.#chunk.length >= length) return this.#cut(length);
    const parts: Uint8Array[] = [];
    for await (const part of this.stretch(length)) parts.push(Buffer.from(part));
    return Buffer.concat(parts);
  }

  /** Views of the next `length` bytes, fewer where the stream ends. */
  async *stretch(length: number): AsyncGenerator<Uint8Array> {
    for (let left = length; left > 0; ) {
      if (this.#chunk.length === 0 && !(await this.#fill())) return;
      const part = this.#cut(Math.min(left, this.#chunk.length));
      left -= part.length;
      yield part;
    }
  }

  /** Views of all that is left. */
  rest(): AsyncGenerator<Uint8Array> {
    return this.stretch(Number.POSITIVE_INFINITY);
  }

  /** Ends the source early. */
  async close(): Promise<void> {
    this.#chunk = new Uint8Array(0);
    this.#ended = true;
    await this.#source.return?.();
  }

  #cut(length: number): Uint8Array {
    const part = this.#chunk.subarray(0, length);
    this.#chunk = this.#chunk.subarray(length);
    this.#position += part.length;
    return part;
  }

  async #fill(): Promise<boolean> {
    while (this.#chunk.length === 0 && !this.#ended) {
      const next = await this.#source.next();
      if (next.done) this.#ended = true;
      else this.#chunk = next.value;
    }
    return this.#chunk.length > 0;
  }
}
