/** A growing list of tokens. */
import type { Token } from './symbols.ts';

export class TokenList {
  length = 0;
  #tokens = new Uint32Array(1 << 12);

  push(token: Token): void {
    if (this.length === this.#tokens.length) {
      const grown = new Uint32Array(2 * this.length);
      grown.set(this.#tokens);
      this.#tokens = grown;
    }
    this.#tokens[this.length++] = token;
  }

  clear(): void {
    this.length = 0;
  }

  /** A view that the next push may outdate. */
  toArray(): Uint32Array {
    return this.#tokens.subarray(0, this.length);
  }
}
