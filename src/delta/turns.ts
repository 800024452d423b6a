/** Who is next of those that wait for a thread and for memory. */

/** What somebody who waits will take. */
export interface Work {
  /** Bytes of memory. */
  readonly memory: number;
  /** How long it will take, with what can only follow it, beside others. */
  readonly length: number;
}

/** Others that are begun before the one whose turn it is: enough to bridge the time until there is room for it. */
const MAX_PASSED = 4;

interface Waiting extends Work {
  readonly start: () => void;
  /** How often others, who need less memory, were begun before it. */
  passed: number;
}

/**
 * The longest work is begun first, so that at the end no thread waits for another that has just begun with it; work that does not fit
 * into the memory is passed over, but not for ever. What needs more memory than there is runs alone.
 */
export class Turns {
  readonly #slots: number;
  readonly #memory: number;
  #running = 0;
  #used = 0;
  /** The longest first. */
  readonly #waiting: Waiting[] = [];

  /** @param slots how many run at the same time. @param memory bytes that they may take together. */
  constructor(slots: number, memory: number) {
    this.#slots = slots;
    this.#memory = memory;
  }

  /** Waits for a turn. The returned function ends it. */
  async take({ memory, length }: Work): Promise<() => void> {
    await new Promise<void>((start) => {
      const at = this.#waiting.findIndex((other) => other.length < length);
      this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, { memory, length, start, passed: 0 });
      this.#startWaiting();
    });
    return () => {
      this.#running--;
      this.#used -= memory;
      this.#startWaiting();
    };
  }

  #startWaiting(): void {
    while (this.#running < this.#slots) {
      const at = this.#waiting.findIndex(({ memory }) => this.#fits(memory));
      const [first] = this.#waiting;
      if (first === undefined || at < 0 || (at > 0 && first.passed >= MAX_PASSED)) return;
      if (at > 0) first.passed++;
      const next = this.#waiting.splice(at, 1)[0]!;
      this.#running++;
      this.#used += next.memory;
      next.start();
    }
  }

  #fits(memory: number): boolean {
    return this.#running === 0 || this.#used + memory <= this.#memory;
  }
}
