/** The column of runs: which old entry each new one continues, as stretches of the old tree. */
import type { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { damagedDelta } from '../damage.ts';
import { readSigned, writeSigned } from '../signed.ts';
import { NO_ENTRY } from './entries.ts';

/** Each run: old entries skipped (signed), entries that continue old ones in their order, entries that continue none. */
export function writeRuns(writer: ByteWriter, matches: Int32Array): void {
  let expected = 0;
  for (let at = 0; at < matches.length; ) {
    const first = matches[at]!;
    let continued = 0;
    while (first !== NO_ENTRY && at + continued < matches.length && matches[at + continued] === first + continued)
      continued++;
    at += continued;
    let fresh = 0;
    while (at + fresh < matches.length && matches[at + fresh] === NO_ENTRY) fresh++;
    at += fresh;
    writeSigned(writer, continued === 0 ? 0 : first - expected);
    writer.varint(continued);
    writer.varint(fresh);
    if (continued > 0) expected = first + continued;
  }
}

/** @throws OsupdError `damaged-delta` when the runs do not make exactly `count` entries out of `baseCount` old ones. */
export function readRuns(reader: ByteReader, count: number, baseCount: number): Int32Array {
  const matches = new Int32Array(count).fill(NO_ENTRY);
  let expected = 0;
  for (let at = 0; at < count; ) {
    const first = expected + readSigned(reader, 'a skip');
    const continued = reader.varint('a run of continued entries');
    const fresh = reader.varint('a run of new entries');
    const isOld = continued === 0 ? first === expected : first >= 0 && first + continued <= baseCount;
    if (!isOld || continued + fresh === 0 || continued + fresh > count - at)
      throw damagedDelta('the tree form has a run that does not fit');
    for (let index = 0; index < continued; index++) matches[at + index] = first + index;
    at += continued + fresh;
    expected = first + continued;
  }
  return matches;
}
