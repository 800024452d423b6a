/** The delta index of one image: which `.osd` files lead to it (docs/formats/repository.md). */
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import { MAX_DELTA_IMAGES, MAX_DELTAS_PER_IMAGE } from '../core/limits.ts';
import { encodeDocument, type JsonFields, parseDocument } from './json-fields.ts';
import { deltaPath } from './layout.ts';

export interface DeltaEntry {
  /** Images that the device must have, in the order of the delta; none for a full delta. */
  readonly from: readonly Digest[];
  /** Images that the delta leads to, in the order of the delta. */
  readonly to: readonly Digest[];
  /** Path of the file, relative to the repository's root. */
  readonly file: string;
  /** Bytes of the whole file. */
  readonly size: number;
  /** Prologue, header and image section: their bytes and SHA-256. The payload is vouched for by the images. */
  readonly head: { readonly size: number; readonly sha256: string };
}

export interface DeltaIndex {
  readonly schema: 'osupd-deltas/1';
  readonly image: Digest;
  readonly deltas: readonly DeltaEntry[];
}

const FIELDS = ['schema', 'critical', 'image', 'deltas'];

/**
 * Parses a delta index.
 * @param where what the bytes are, for messages
 * @throws OsupdError `verification-failed`
 */
export function parseDeltaIndex(bytes: Uint8Array, where: string): DeltaIndex {
  const fields = parseDocument(
    bytes,
    'osupd-deltas/1',
    FIELDS,
    (what) => new OsupdError('verification-failed', `not a valid delta index: ${what}`, { where }),
  );
  const image = fields.digest('image');
  const deltas = fields.objects('deltas', MAX_DELTAS_PER_IMAGE).map(parseEntry);
  if (deltas.some((delta) => !delta.to.includes(image))) throw fields.bad('deltas', 'has one that leads elsewhere');
  return { schema: 'osupd-deltas/1', image, deltas };
}

/** The bytes of an index; entries are sorted by file name, so the same set gives the same bytes. */
export function encodeDeltaIndex(index: DeltaIndex): Buffer {
  return encodeDocument({ ...index, deltas: [...index.deltas].sort((a, b) => (a.file < b.file ? -1 : 1)) });
}

function parseEntry(fields: JsonFields): DeltaEntry {
  const head = fields.object('head');
  const sha256 = head.sha256('sha256');
  const size = fields.integer('size', 1);
  const entry: DeltaEntry = {
    from: fields.digests('from', MAX_DELTA_IMAGES),
    to: fields.digests('to', MAX_DELTA_IMAGES),
    file: fields.string('file', (file) => file === deltaPath(sha256)),
    size,
    head: { size: head.integer('size', 1, size), sha256 },
  };
  for (const name of ['from', 'to'] as const) {
    if (new Set(entry[name]).size !== entry[name].length) throw fields.bad(name, 'names an image twice');
  }
  if (entry.to.length === 0) throw fields.bad('to', 'is empty');
  return entry;
}
