/** Ways through a new file: stretches that are copied or literal, each with the one before it. Many ways share their beginnings. */
import type { Copies } from './find-copies.ts';

export class Ways {
  #before = new Int32Array(1 << 10);
  #starts = new Uint32Array(1 << 10);
  #distances = new Float64Array(1 << 10);
  #count = 0;

  /**
   * A stretch that begins at `start`. @param before the number of the one before it, -1 for none.
   * @param distance of a copy: old offset less new offset; NaN for a literal. Gives its number.
   */
  add(before: number, start: number, distance: number): number {
    if (this.#count === this.#before.length) this.#grow();
    this.#before[this.#count] = before;
    this.#starts[this.#count] = start;
    this.#distances[this.#count] = distance;
    return this.#count++;
  }

  /** The copies of the way that ends with a stretch, which goes to `size`. */
  copies(last: number, size: number): Copies {
    const newAt: number[] = [];
    const oldAt: number[] = [];
    const lengths: number[] = [];
    let end = size;
    for (let way = last; way >= 0; way = this.#before[way]!) {
      const start = this.#starts[way]!;
      const distance = this.#distances[way]!;
      if (!Number.isNaN(distance) && end > start) {
        newAt.push(start);
        oldAt.push(start + distance);
        lengths.push(end - start);
      }
      end = start;
    }
    return {
      count: newAt.length,
      newAt: Uint32Array.from(newAt.reverse()),
      oldAt: Uint32Array.from(oldAt.reverse()),
      lengths: Uint32Array.from(lengths.reverse()),
    };
  }

  #grow(): void {
    const size = 2 * this.#count;
    const before = new Int32Array(size);
    const starts = new Uint32Array(size);
    const distances = new Float64Array(size);
    before.set(this.#before);
    starts.set(this.#starts);
    distances.set(this.#distances);
    this.#before = before;
    this.#starts = starts;
    this.#distances = distances;
  }
}
