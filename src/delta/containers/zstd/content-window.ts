/** The part of a frame's content that an encoder's emulation looks at: what lies within the window, and what comes next. */
import { FIRST_INDEX } from './match-finder.ts';

export class ContentWindow {
  /** Content by index. It is another array after more was appended. */
  bytes: Uint8Array;
  /** Index behind the last byte. */
  end = FIRST_INDEX;
  /** Offset in the content of all frames that index zero would have. */
  #base = -FIRST_INDEX;
  readonly #windowSize: number;
  /** What indexes move by, if they must: a multiple of all table sizes. */
  readonly #unit: number;
  readonly #moved: (by: number) => void;

  /**
   * @param limit of bytes that must be held in any case: all content, or all of a section and what is known before it.
   * @param moved is told when indexes move.
   */
  constructor(windowSize: number, unit: number, limit: number, ahead: number, moved: (by: number) => void) {
    this.#windowSize = windowSize;
    this.#unit = unit;
    this.#moved = moved;
    this.bytes = new Uint8Array(FIRST_INDEX + Math.min(limit, windowSize + unit + 2 * ahead));
  }

  indexOf(offset: number): number {
    return offset - this.#base;
  }

  /** Forgets everything before an offset, which becomes the first index. */
  restartAt(offset: number): void {
    const index = this.indexOf(offset);
    this.bytes.copyWithin(FIRST_INDEX, index, this.end);
    this.end -= index - FIRST_INDEX;
    this.#base = offset - FIRST_INDEX;
  }

  /** Appends what follows; `at` is the offset from which on, less the window, content is needed. */
  append(chunk: Uint8Array, at: number): void {
    if (this.end + chunk.length > this.bytes.length) this.#makeRoom(chunk.length, at);
    this.bytes.set(chunk, this.end);
    this.end += chunk.length;
  }

  #makeRoom(length: number, at: number): void {
    const unneeded = this.indexOf(at) - this.#windowSize - FIRST_INDEX;
    const by = unneeded < 0 ? 0 : Math.floor(unneeded / this.#unit) * this.#unit;
    const kept = this.bytes.subarray(FIRST_INDEX + by, this.end);
    if (FIRST_INDEX + kept.length + length > this.bytes.length) {
      const larger = new Uint8Array(FIRST_INDEX + kept.length + length);
      larger.set(kept, FIRST_INDEX);
      this.bytes = larger;
    } else if (by > 0) this.bytes.copyWithin(FIRST_INDEX, FIRST_INDEX + by, this.end);
    this.end -= by;
    this.#base += by;
    if (by > 0) this.#moved(by);
  }
}
