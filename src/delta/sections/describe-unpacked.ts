/** Records of the codec `unpacked` as text: what their bytes are, and how bases and members are taken apart. */

import { difference } from '../codecs/difference.ts';
import { StoredBytes } from '../codecs/stored-bytes.ts';
import { readRecipes } from '../codecs/unpacked.ts';
import { INNER_CODECS } from '../codecs/unpacked-encode.ts';
import { type BaseLayout, type MemberLayout, parseLayout } from '../codecs/unpacked-layout.ts';
import { damagedDelta } from '../damage.ts';
import { sum } from '../total-size.ts';
import { describeDifference } from './describe-difference.ts';

/**
 * Lines about a record; nothing is decoded but its recipes.
 * @param length stored bytes of the record. @param bases their number. @param members their number.
 * @throws OsupdError `damaged-delta`.
 */
export async function* describeUnpacked(
  stored: AsyncIterable<Uint8Array>,
  { length, bases, members }: { readonly length: number; readonly bases: number; readonly members: number },
): AsyncGenerator<string> {
  await using source = new StoredBytes(stored);
  const { bytes, packed } = await readRecipes(source);
  const inner = INNER_CODECS[await source.byte('the codec of the content')];
  if (inner === undefined) throw damagedDelta('a record has content in a codec that is not known');
  // Sizes are in the images: none is needed for what is told here.
  const layout = parseLayout(bytes, new Array<number>(bases).fill(0), new Array<number>(members).fill(0));
  const decisions = sum(layout.members.map(({ recipe }) => recipe.length));
  yield `  content ${length - packed} bytes by ${inner.name}; decisions ${decisions} and ${bytes.length - decisions} bytes about parts, stored in ${packed} bytes`;
  yield `  members: ${counted(layout.members, describeMember)}; bases: ${counted(layout.bases, describeBase)}`;
  if (inner === difference) yield* describeDifference(source.rest(), Number.MAX_SAFE_INTEGER);
}

function describeMember({ container, parts }: MemberLayout): string {
  if (container === undefined) return 'as it is';
  const inserts = sum(parts.map((part) => part.inserts.length));
  return inserts === 0 ? container.name : `${container.name} with ${inserts} bases in it`;
}

function describeBase({ form, cuts }: BaseLayout): string {
  if (typeof form === 'string') return form;
  return cuts.length === 0 ? form.name : `${form.name} without ${cuts.length} files`;
}

/** How many there are of each description, the most frequent first. */
function counted<T>(things: readonly T[], describe: (thing: T) => string): string {
  const alike = [...Map.groupBy(things, describe)].sort(([, a], [, b]) => b.length - a.length);
  return alike.map(([description, { length }]) => `${length} ${description}`).join(', ');
}
