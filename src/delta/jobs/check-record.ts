/** Whether a record that somebody else made holds the objects that it should. */

import { FsverityHasher } from '../../objects/fsverity.ts';
import type { ObjectReference } from '../../tree/references.ts';
import { codecNamed } from '../codecs.ts';
import { Cutter } from '../cutter.ts';
import { damagedDelta } from '../damage.ts';
import { type ObjectReader, openExactly } from '../object-reader.ts';
import { OpenBases } from '../open-bases.ts';
import type { RecordJob } from './record-job.ts';

/**
 * Decodes a record and compares the digests.
 * @throws OsupdError `damaged-delta` when it holds anything else, `unsupported` for an unknown codec; what the store throws.
 */
export async function checkRecord(
  { members, bases }: RecordJob,
  codecName: string,
  stored: AsyncIterable<Uint8Array>,
  store: ObjectReader,
): Promise<void> {
  const codec = codecNamed(codecName);
  await using open = new OpenBases((object: ObjectReference) => openExactly(store, object));
  const usable = codec.usesBases ? bases.map((base) => open.baseOf(base)) : [];
  if (codec.usesBases && usable.length === 0) throw damagedDelta(`a record of the codec ${codecName} has no bases`);
  const content = codec.decode(
    stored,
    usable,
    members.map(({ size }) => size),
  );
  await using cutter = new Cutter(content, () => damagedDelta('a record holds less than its objects'));
  for (const { digest, size } of members) {
    const hasher = new FsverityHasher();
    for await (const piece of cutter.next(size)) hasher.update(piece);
    if (hasher.digest() !== digest) throw damagedDelta('a record holds other content than its objects have');
  }
  if (!(await cutter.isAtEnd())) throw damagedDelta('a record holds more than its objects');
}
