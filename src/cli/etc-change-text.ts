/** How a local change of /etc is shown: a letter, the path, and what of it. */
import { toText } from '../core/bytes.ts';
import type { EtcChange } from '../deploy/etc/local-changes.ts';

const LETTERS = { added: 'A', removed: 'D', changed: 'M' } as const;

export function etcChangeLine({ kind, path, fields }: EtcChange): string {
  return `${LETTERS[kind]} ${toText(path)}${fields.length === 0 ? '' : ` (${fields.map(toText).join(', ')})`}`;
}

/** For JSON. */
export function plainEtcChange({ kind, path, fields }: EtcChange): object {
  return { kind, path: toText(path), fields: fields.map(toText) };
}
