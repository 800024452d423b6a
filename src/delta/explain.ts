/** A delta's head as text: what is where, and what it costs. */
import { difference } from './codecs/difference.ts';
import { unpacked } from './codecs/unpacked.ts';
import type { DeltaFile } from './delta-file.ts';
import type { DeltaRecord, ImagePart } from './header.ts';
import { describeDifference } from './sections/describe-difference.ts';
import { describeUnpacked } from './sections/describe-unpacked.ts';

/** Numbers of a list that are written out; of longer lists the rest is counted. */
const SHOWN = 12;

/** Lines about every part of the delta, without newlines. @throws OsupdError `damaged-delta`, `io`. */
export async function* explainDelta({ head, read }: DeltaFile): AsyncGenerator<string> {
  const { from, to, images, records } = head.header;
  yield `delta of ${head.size + head.payloadSize} bytes: head ${head.size}, payload ${head.payloadSize}`;
  for (const [number, digest] of from.entries()) yield `from image ${number}  ${digest}`;
  for (const [number, digest] of to.entries()) yield `to image ${number}  ${digest}`;
  let offset = head.size - images.reduce((sum, { stored }) => sum + stored, 0);
  for (const [number, part] of images.entries()) {
    yield `at ${offset}: to image ${number}, ${describeImage(part, from.length)}`;
    offset += part.stored;
  }
  for (const [number, record] of records.entries()) {
    yield `at ${offset}: record ${number}, ${describeRecord(record)}`;
    yield* describeContent(record, read({ offset, length: record.stored }));
    offset += record.stored;
  }
}

/** What codecs say about their records. */
async function* describeContent(
  { codec, members, bases, stored: length }: DeltaRecord,
  stored: AsyncIterable<Uint8Array>,
): AsyncGenerator<string> {
  if (length === 0) return;
  if (codec === difference.name) yield* describeDifference(stored, bases.length);
  if (codec === unpacked.name)
    yield* describeUnpacked(stored, { length, bases: bases.length, members: members.length });
}

function describeImage({ method, base, codec, raw, stored, digests }: ImagePart, fromCount: number): string {
  const against =
    base === undefined ? 'nothing' : base < fromCount ? `from image ${base}` : `to image ${base - fromCount}`;
  return `${stored} bytes, ${method} against ${against}, codec ${codec}: ${raw} bytes and ${digests} digests`;
}

function describeRecord({ members, codec, bases, stored }: DeltaRecord): string {
  const on = bases.length === 0 ? '' : `, bases ${listed(bases)}`;
  return `${stored} bytes, codec ${codec}: new objects ${listed(members)}${on}`;
}

/** Numbers, with runs written as `3-7`. */
function listed(numbers: readonly number[]): string {
  const runs: { first: number; last: number }[] = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run !== undefined && run.last + 1 === number) run.last = number;
    else runs.push({ first: number, last: number });
  }
  const shown = runs.slice(0, SHOWN).map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  return `${shown.join(' ')}${runs.length > SHOWN ? ` … (${numbers.length} in all)` : ''}`;
}
