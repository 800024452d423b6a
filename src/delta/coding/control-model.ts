/**
 * The model of control numbers. docs/formats/residual-coding.md describes it. Where a copy is taken from is said relative to the place
 * behind the last copy, or to where one of the last copies would go on now: whatever is nearest.
 */
import { BitModels } from './bit-models.ts';
import { hash } from './mixer.ts';
import { MAX_CODED_NUMBER, NumberModel } from './number-model.ts';
import type { BitCoder } from './range-coder.ts';

export interface Control {
  /** Bytes that come from nowhere. */
  readonly literal: number;
  /** Bytes copied after them. */
  readonly copy: number;
  /** Old position of the copy relative to the expected one; negative for backwards. */
  readonly seek: number;
}

/** Distances between old and new positions that were used last. */
const RECENT_DISTANCES = 3;
/** Bits of the number of a reference: the place behind the last copy, or a distance. */
const REFERENCE_BITS = 2;

const LIMIT = 127;

/** Positions go on from member to member, and numbers of a damaged stream are any: they are kept where they are exact. */
const POSITION_RANGE = 2 ** 48;

export class ControlModel {
  readonly #literals = new NumberModel();
  readonly #copies = new NumberModel();
  readonly #offsets = new NumberModel();
  readonly #references = new BitModels(64 << REFERENCE_BITS, LIMIT);
  readonly #signs = new BitModels(64, LIMIT);
  readonly #distances: number[] = new Array<number>(RECENT_DISTANCES).fill(0);
  #newAt = 0;
  #oldAt = 0;
  #lastReference = 0;
  #lastCopy = 0;
  #lastLiteral = 0;
  #lastOffset = 0;

  /** A decoder does not look at `control`. Numbers of a damaged stream may be up to 2^32 and seeks beyond that. */
  code(coder: BitCoder, control: Control): Control {
    const distances = this.#distances;
    const lastCopy = sizeClass(this.#lastCopy);
    const lastLiteral = sizeClass(this.#lastLiteral);
    const lastOffset = sizeClass(this.#lastOffset);
    const lastReference = this.#lastReference;
    const literals = this.#literals;
    literals.setContexts(0, hash(lastReference, lastOffset), hash(lastCopy, lastLiteral), this.#lastLiteral);
    const literal = literals.code(coder, control.literal);
    const newAt = this.#newAt + literal;
    const size = sizeClass(literal);

    const wanted = nearestReference(distances, this.#oldAt + control.seek - newAt, this.#oldAt - newAt);
    const reference = this.#references.codeTree(
      coder,
      ((Math.min(size, 7) << 1) | (lastReference === 0 ? 0 : 1)) << REFERENCE_BITS,
      REFERENCE_BITS,
      wanted,
    );
    const from = reference === 0 ? this.#oldAt - newAt : distances[reference - 1]!;
    const offset = this.#oldAt + control.seek - newAt - from;
    const offsets = this.#offsets;
    offsets.setContexts(
      hash(reference, size),
      hash(reference, lastOffset),
      hash(lastReference, hash(reference, lastCopy)),
      hash(this.#lastOffset, reference),
    );
    const magnitude = offsets.code(coder, Math.abs(offset));
    const isBack =
      magnitude !== 0 &&
      this.#signs.code(coder, (reference << 4) | Math.min(15, sizeClass(magnitude)), offset < 0 ? 1 : 0) === 1;
    const distance = from + (isBack ? -magnitude : magnitude);

    const offsetSize = sizeClass(magnitude);
    const copies = this.#copies;
    copies.setContexts(
      hash(reference, offsetSize),
      hash(lastCopy, hash(size, 1)),
      hash(reference, hash(offsetSize, lastLiteral)),
      hash(this.#lastCopy, 2),
    );
    const copy = copies.code(coder, control.copy);

    const seek = distance + newAt - this.#oldAt;
    this.#remember(distance);
    this.#newAt = (newAt + copy) % POSITION_RANGE;
    this.#oldAt = (distance + newAt + copy) % POSITION_RANGE;
    this.#lastReference = reference;
    this.#lastCopy = copy;
    this.#lastLiteral = literal;
    this.#lastOffset = magnitude;
    return { literal, copy, seek };
  }

  #remember(distance: number): void {
    const distances = this.#distances;
    let at = distances.indexOf(distance);
    if (at < 0) at = distances.length - 1;
    for (; at > 0; at--) distances[at] = distances[at - 1]!;
    distances[0] = distance;
  }
}

/** 0 for the place behind the last copy, or the number of a distance from 1. */
function nearestReference(distances: readonly number[], distance: number, behind: number): number {
  let best = 0;
  let least = bitsOf(distance - behind);
  for (let at = 0; at < distances.length; at++) {
    const bits = bitsOf(distance - distances[at]!);
    if (bits >= least) continue;
    best = at + 1;
    least = bits;
  }
  return best;
}

function bitsOf(offset: number): number {
  const magnitude = Math.abs(offset);
  return magnitude > MAX_CODED_NUMBER ? Number.POSITIVE_INFINITY : sizeClass(magnitude);
}

/** Bits of a number. */
function sizeClass(number: number): number {
  return 32 - Math.clz32(number);
}
