/** Bounds how many bytes are worked on at the same time. */

export class ByteBudget {
  readonly #limit: number;
  #used = 0;
  readonly #waiting: { readonly bytes: number; readonly start: () => void }[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Waits until `bytes` more fit, in the order of the calls; more than the whole budget waits until nothing else runs.
   * The returned function gives them back.
   */
  async acquire(bytes: number): Promise<() => void> {
    if (this.#waiting.length > 0 || !this.#fits(bytes))
      await new Promise<void>((resolve) => {
        this.#waiting.push({ bytes, start: resolve });
      });
    else this.#used += bytes;
    return () => {
      this.#used -= bytes;
      this.#startWaiting();
    };
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#limit;
  }

  #startWaiting(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#used += next.bytes;
      next.start();
    }
  }
}
