/** Where the bytes of a delta's `difference` records are: by kind of file and by section of the new files. */
import type { ByteString } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import type { Progress } from '../../core/progress.ts';
import { decodeImage } from '../../image/read.ts';
import type { Pool } from '../../objects/pool.ts';
import { type ObjectReference, objectsOf } from '../../tree/references.ts';
import { nodeOf, type Tree, walk } from '../../tree/tree.ts';
import { difference } from '../codecs/difference.ts';
import { decodeDifference } from '../codecs/difference-decode.ts';
import { copied } from '../cutter.ts';
import type { DeltaFile } from '../delta-file.ts';
import { kindOf } from '../kinds.ts';
import { openExactly } from '../object-reader.ts';
import { OpenBases } from '../open-bases.ts';
import { planRecords } from '../plan.ts';
import { type SectionCost, SectionCosts, type SectionedMember } from './section-costs.ts';
import { sectionMapOf } from './section-map.ts';

/**
 * Decodes all records of the codec `difference`.
 * @param pool has the images on both sides of the delta, with their objects.
 * @returns the costs of sections, the largest first.
 * @throws OsupdError `not-found` for an image that the pool lacks, `damaged-store`, `damaged-delta`.
 */
export async function explainSections(
  { head, read }: DeltaFile,
  pool: Pool,
  progress: Progress,
): Promise<readonly SectionCost[]> {
  const trees = new Map<Digest, Tree>();
  for (const digest of [...head.from, ...head.to])
    trees.set(digest, decodeImage(await pool.readImage(digest), pool.imagePath(digest)));
  const paths = pathsIn(head.to.map((digest) => trees.get(digest)!));
  const plan = planRecords(
    head,
    (digest) => objectsOf(trees.get(digest)!),
    () => false,
  );
  const records = plan.records.filter(({ codec }) => codec === difference.name);
  const costs = new SectionCosts();
  const step = 'decode';
  progress({ kind: 'start', step, unit: 'items', total: records.length });
  for (const [index, { members, bases, range }] of records.entries()) {
    const sectioned: SectionedMember[] = [];
    for (const member of members) sectioned.push(await describeMember(member, paths.get(member.digest) ?? '', pool));
    const observer = costs.observe(sectioned, range.length);
    await using open = new OpenBases((object: ObjectReference) => openExactly(pool, object));
    const sizes = members.map(({ size }) => size);
    const content = decodeDifference(
      copied(read(range)),
      bases.map((base) => open.baseOf(base)),
      sizes,
      observer,
    );
    for await (const _ of content);
    observer.finish();
    progress({ kind: 'advance', step, done: index + 1 });
  }
  progress({ kind: 'finish', step, done: records.length });
  return costs.list;
}

/** First path of each object. */
function pathsIn(trees: readonly Tree[]): Map<Digest, ByteString> {
  const paths = new Map<Digest, ByteString>();
  for (const tree of trees)
    for (const { path, entry } of walk(tree)) {
      const node = nodeOf(entry);
      if (node.type === 'file' && node.digest !== undefined && !paths.has(node.digest)) paths.set(node.digest, path);
    }
  return paths;
}

async function describeMember(object: ObjectReference, path: ByteString, pool: Pool): Promise<SectionedMember> {
  await using opened = await openExactly(pool, object);
  const bytes = await opened.read(0, object.size);
  return { kind: kindOf(path, bytes), sections: sectionMapOf(bytes) };
}
