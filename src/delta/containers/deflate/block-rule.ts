/** Where a compressor of the zlib family ends its blocks. */
import type { Settings } from './settings.ts';
import {
  DISTANCE_EXTRA_BITS,
  DISTANCE_SYMBOLS,
  distanceCode,
  LITERAL,
  type Token,
  tokenDistance,
  tokenLength,
} from './symbols.ts';

/** Levels above this may end a block early, after each so many tokens. */
const EARLY_LEVEL = 2;
const EARLY_TOKENS = 0x1000;

export class BlockRule {
  readonly #settings: Settings;
  readonly #distances = new Uint32Array(DISTANCE_SYMBOLS);
  #tokens = 0;
  #matches = 0;
  #bytes = 0;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  begin(): void {
    this.#tokens = 0;
    this.#matches = 0;
    this.#bytes = 0;
    this.#distances.fill(0);
  }

  /** Counts a token of the block. @returns true when the block ends behind it. */
  endsAfter(token: Token): boolean {
    this.#tokens++;
    if (token !== LITERAL) {
      const code = distanceCode(tokenDistance(token));
      this.#distances[code] = (this.#distances[code] as number) + 1;
      this.#matches++;
    }
    const early = this.#settings.isGzip && this.#settings.level > EARLY_LEVEL;
    const ends = (early && this.#tokens % EARLY_TOKENS === 0 && this.#isPoor()) || this.#isFull();
    this.#bytes += tokenLength(token);
    return ends;
  }

  #isFull(): boolean {
    return this.#tokens === this.#settings.blockTokens;
  }

  /** Few matches, and those compress to less than half: other codes may do better from here on. */
  #isPoor(): boolean {
    let bits = 8 * this.#tokens;
    for (let code = 0; code < DISTANCE_SYMBOLS; code++) {
      bits += (this.#distances[code] as number) * (5 + (DISTANCE_EXTRA_BITS[code] as number));
    }
    // In a lazy parser the token is decided one byte later.
    const bytesIn = this.#bytes + 1;
    return this.#matches < this.#tokens >> 1 && bits >>> 3 < bytesIn >> 1;
  }
}
