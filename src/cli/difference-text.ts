/** How differences between two trees are shown: a letter and the path. */
import { toText } from '../core/bytes.ts';
import type { Difference } from '../tree/compare.ts';

const LETTERS = { added: 'A', removed: 'D', changed: 'M' } as const;

export function differenceLine({ kind, path }: Difference): string {
  return `${LETTERS[kind]} ${toText(path)}\n`;
}

/** For JSON. */
export function plainDifference(difference: Difference): object {
  const { kind, path } = difference;
  return { kind, path: toText(path), ...(kind === 'changed' ? { fields: difference.fields } : {}) };
}
