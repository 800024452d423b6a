/** Cuts a stream of chunks into pieces of given lengths. */

/** Chunks that stay valid, of ones that are valid until the next step. */
export async function* copied(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield Uint8Array.from(chunk);
}

export class Cutter implements AsyncDisposable {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #ended: (missing: number) => Error;
  #rest: Uint8Array = new Uint8Array(0);

  /** @param ended makes the error for a source that ends before a piece is complete. */
  constructor(source: AsyncIterable<Uint8Array>, ended: (missing: number) => Error) {
    this.#source = source[Symbol.asyncIterator]();
    this.#ended = ended;
  }

  /** The next `length` bytes. Chunks are views of the source's, valid until the next step. */
  async *next(length: number): AsyncGenerator<Uint8Array> {
    for (let missing = length; missing > 0; ) {
      if (this.#rest.length === 0) {
        const { done, value } = await this.#source.next();
        if (done) throw this.#ended(missing);
        this.#rest = value;
      }
      const piece = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(piece.length);
      missing -= piece.length;
      if (piece.length > 0) yield piece;
    }
  }

  /** Drops the next `length` bytes. */
  async skip(length: number): Promise<void> {
    for await (const _ of this.next(length));
  }

  /** Reads on to the end of the source, which checks what it gives there. True when nothing more came. */
  async isAtEnd(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#source.next();
      if (done) return true;
      this.#rest = value;
    }
    return false;
  }

  /** Gives the source up. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source.return?.();
  }
}
