/**
 * Where the bytes of `difference` records go: each stream of a segment is shared out among the sections of the new files. What a coder has
 * read tells the cost of a copy or literal; within a copy its differing bytes bear it.
 */
import { RecordObserver } from './record-observer.ts';
import type { SectionMap } from './section-map.ts';

/** Sums for one section of the files of one kind, in bytes. */
export interface SectionCost {
  readonly kind: string;
  readonly section: string;
  /** Content. */
  copied: number;
  /** Copied, but other than the projected old file has it. */
  differing: number;
  literal: number;
  /** Stored, estimated. */
  readonly stored: { plan: number; control: number; residual: number; literal: number };
}

export interface SectionedMember {
  readonly kind: string;
  readonly sections: SectionMap;
}

export class SectionCosts {
  readonly #costs = new Map<string, SectionCost>();

  /** The largest first. */
  get list(): SectionCost[] {
    return [...this.#costs.values()].sort((a, b) => storedBytes(b) - storedBytes(a));
  }

  /**
   * Takes what a decoder says of one record; `finish` must be called at its end.
   * @param members of the record. @param stored its bytes in the payload.
   */
  observe(members: readonly SectionedMember[], stored: number): RecordObserver {
    return new RecordObserver(members, stored, (kind, section) => this.#costOf(kind, section));
  }

  #costOf(kind: string, section: string): SectionCost {
    const key = `${kind} ${section}`;
    const known = this.#costs.get(key);
    if (known !== undefined) return known;
    const stored = { plan: 0, control: 0, residual: 0, literal: 0 };
    const made: SectionCost = { kind, section, copied: 0, differing: 0, literal: 0, stored };
    this.#costs.set(key, made);
    return made;
  }
}

export function storedBytes({ stored: { plan, control, residual, literal } }: SectionCost): number {
  return plan + control + residual + literal;
}
