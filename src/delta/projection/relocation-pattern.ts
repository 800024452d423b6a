/** Tables that are relocated in every row alike: which places and types their relocations have follows from their number. */
import { RELA_BYTES } from './elf.ts';
import type { RelocatableSection } from './relocatable-sections.ts';

export interface RelocationPattern {
  /** Relocations of one row. */
  readonly period: number;
  readonly rowBytes: number;
  /** Of each in a row: its place in the row, and its type. */
  readonly places: Uint32Array;
  readonly types: Uint32Array;
}

/** Relocations of one row at most. */
const MAX_PERIOD = 16;

/** @returns undefined where the relocations of a section, `host`, do not repeat from row to row. */
export function patternOf(view: DataView, host: RelocatableSection | undefined): RelocationPattern | undefined {
  if (host?.role !== 'table' || view.byteLength === 0) return undefined;
  const { rowBytes } = host;
  const count = view.byteLength / RELA_BYTES;
  let period = 0;
  while (period < count && period <= MAX_PERIOD && view.getUint32(period * RELA_BYTES, true) < rowBytes) period++;
  if (period === 0 || period > MAX_PERIOD || period * (host.size / rowBytes) !== count) return undefined;
  const places = new Uint32Array(period);
  const types = new Uint32Array(period);
  for (let number = 0; number < count; number++) {
    const at = number * RELA_BYTES;
    const inRow = number % period;
    const place = view.getUint32(at, true) - Math.floor(number / period) * rowBytes;
    const type = view.getUint32(at + 8, true);
    if (number < period) {
      places[inRow] = place;
      types[inRow] = type;
    } else if (places[inRow] !== place || types[inRow] !== type) return undefined;
  }
  return { period, rowBytes, places, types };
}

/** Writes places and types of the relocations of a section at its new place. */
export function writePattern(
  target: DataView,
  { offset, size }: { readonly offset: number; readonly size: number },
  { period, rowBytes, places, types }: RelocationPattern,
): void {
  for (let number = 0; (number + 1) * RELA_BYTES <= size; number++) {
    const at = offset + number * RELA_BYTES;
    target.setUint32(at, Math.floor(number / period) * rowBytes + places[number % period]!, true);
    target.setUint32(at + 4, 0, true);
    target.setUint32(at + 8, types[number % period]!, true);
  }
}
