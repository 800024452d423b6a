/** What the content of a record of the codec `unpacked` is differenced against: its bases, taken apart. */
import type { OsupdError } from '../../core/errors.ts';
import { MAX_UNPACKED_BYTES } from '../../core/limits.ts';
import type { Base } from '../codec.ts';
import { isStreamed, type StreamedContainer } from '../containers/container.ts';
import { damagedDelta } from '../damage.ts';
import { memoryBase, readBases } from '../read-base.ts';
import { sum } from '../total-size.ts';
import { HeldContent } from './held-content.ts';
import type { BaseLayout, Cut } from './unpacked-layout.ts';

/** Takes bases apart as a layout says. */
export class UnpackedBases implements Disposable {
  readonly #scratch: string | undefined;
  readonly #held: HeldContent[] = [];
  #left = MAX_UNPACKED_BYTES;

  /** @param scratch a directory for content that is not held in memory. */
  constructor(scratch: string | undefined) {
    this.#scratch = scratch;
  }

  /** The parts of a base. @throws OsupdError `damaged-delta` where it is no such file; what the base throws. */
  async partsOf(base: Base, { form, cuts }: BaseLayout): Promise<Base[]> {
    if (form === 'contained') return [];
    if (form === 'as it is') return [base];
    if (isStreamed(form)) return this.#stream(base, form, cuts);
    if (cuts.length > 0) throw damagedDelta(`a record leaves out a part of a base that is ${form.name}`);
    const parts = form.unpack(await readBases([base]), this.#left);
    if (parts === undefined) throw damagedDelta(`a record unpacks a base that is not ${form.name}, or too large`);
    this.#take(sum(parts.map(({ length }) => length)));
    return parts.map(memoryBase);
  }

  [Symbol.dispose](): void {
    for (const held of this.#held) held[Symbol.dispose]();
  }

  async #stream(base: Base, container: StreamedContainer, cuts: readonly Cut[]): Promise<Base[]> {
    if (base.size > MAX_UNPACKED_BYTES) throw tooLarge();
    const parts: Base[] = [];
    for await (const part of container.unpackStream(base)) {
      const held = new HeldContent(this.#scratch);
      this.#held.push(held);
      for await (const chunk of withoutCuts(this.#counted(part), parts.length === 0 ? cuts : [])) held.append(chunk);
      parts.push(held);
    }
    return parts;
  }

  async *#counted(part: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of part) {
      this.#take(chunk.length);
      yield chunk;
    }
  }

  #take(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) throw tooLarge();
  }
}

function tooLarge(): OsupdError {
  return damagedDelta('a record unpacks bases that are too large');
}

/** @throws OsupdError `damaged-delta` for a cut behind the end of the content */
async function* withoutCuts(content: AsyncIterable<Uint8Array>, cuts: readonly Cut[]): AsyncGenerator<Uint8Array> {
  let index = 0;
  /** Bytes until the cut begins or, within it, ends. */
  let left = cuts[0]?.gap ?? Number.POSITIVE_INFINITY;
  let isWithin = false;
  const turn = () => {
    while (left === 0) {
      if (isWithin) index++;
      isWithin = !isWithin;
      const cut = cuts[index];
      left = cut === undefined ? Number.POSITIVE_INFINITY : isWithin ? cut.length : cut.gap;
    }
  };
  turn();
  for await (const chunk of content) {
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, Math.min(chunk.length, at + left));
      if (!isWithin) yield piece;
      at += piece.length;
      left -= piece.length;
      turn();
    }
  }
  if (index < cuts.length) throw damagedDelta('a record leaves out more than a base has');
}
