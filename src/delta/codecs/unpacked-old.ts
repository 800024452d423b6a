/** What the content of a record of the codec `unpacked` is differenced against: its bases, taken apart. */
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
    if (isStreamed(form)) return [await this.#stream(base, form, cuts)];
    if (cuts.length > 0) throw damagedDelta(`a record leaves out a part of a base that is ${form.name}`);
    const parts = form.unpack(await readBases([base]), this.#left);
    this.#left -= sum((parts ?? []).map(({ length }) => length));
    if (parts === undefined || this.#left < 0)
      throw damagedDelta(`a record unpacks a base that is not ${form.name}, or too large`);
    return parts.map(memoryBase);
  }

  [Symbol.dispose](): void {
    for (const held of this.#held) held[Symbol.dispose]();
  }

  async #stream(base: Base, container: StreamedContainer, cuts: readonly Cut[]): Promise<Base> {
    const held = new HeldContent(this.#scratch);
    this.#held.push(held);
    const counted = async function* (bases: UnpackedBases): AsyncGenerator<Uint8Array> {
      for await (const chunk of container.unpackStream(base, bases.#left)) {
        bases.#left -= chunk.length;
        yield chunk;
      }
    };
    for await (const chunk of withoutCuts(counted(this), cuts)) held.append(chunk);
    return held;
  }
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
