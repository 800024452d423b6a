/** The local changes of one deployment's /etc: against its default, and against what another deployment has of them. */
import type { ByteString } from '../../core/bytes.ts';
import type { DirectoryNode, nodeOf } from '../../tree/tree.ts';
import { childOf, metadataFields, sameContent } from './compare-nodes.ts';
import { EtcDirectory } from './etc-directory.ts';
import { type EtcRequest, type EtcSide, etcOf, planEtc } from './prepare-etc.ts';
import type { EtcChangeKind } from './report.ts';
import { untilAtRest } from './until-at-rest.ts';
import { emptyCopy, readUpper, shownTree } from './upper.ts';

/** A name below /etc that is not as it was. */
export interface EtcChange {
  /** Absolute: `/etc/ssh/sshd_config`. */
  readonly path: ByteString;
  readonly kind: EtcChangeKind;
  /** For `changed`: `content`, `mode`, `owner`, or names of extended attributes. */
  readonly fields: readonly string[];
}

/**
 * What the /etc of a deployment has that its default has not, in the order of a walk: parents before children, names in byte order.
 * @throws OsupdError `changed-while-read`; `invalid-tree` for an image without /etc.
 */
export async function localChanges(
  device: EtcRequest['device'],
  stack: string,
  deployment: EtcSide,
): Promise<EtcChange[]> {
  const lower = etcOf(deployment);
  const upper = await untilAtRest(() => readUpper(new EtcDirectory(device, stack, deployment.id).upper));
  return upper === undefined ? [] : changesOf(lower, shownTree(lower, upper));
}

/**
 * What a rollback would lose: changes in the /etc of the deployment `from`, which runs, that the one of `to` does not have. What came
 * from `to` when `from` was prepared is not among them. @param request with `from` and `to` as they are for the rollback.
 */
export async function changesLostByRollback(request: EtcRequest): Promise<EtcChange[]> {
  const { device, stack, from, to } = request;
  if (from === undefined || request.policy === 'volatile') return [];
  const lower = etcOf(from);
  const upper = await untilAtRest(() => readUpper(new EtcDirectory(device, stack, from.id).upper));
  // What the merge from there to here makes is what the other one has, too.
  const shared = await untilAtRest(() => planEtc({ ...request, from: to, to: from }));
  return changesOf(shownTree(lower, shared.upper), shownTree(lower, upper ?? emptyCopy(lower)));
}

function changesOf(before: DirectoryNode, after: DirectoryNode): EtcChange[] {
  const changes: EtcChange[] = [];
  const compare = (path: ByteString, one: DirectoryNode | undefined, other: DirectoryNode | undefined): void => {
    const names = new Set([...(one?.children.keys() ?? []), ...(other?.children.keys() ?? [])]);
    for (const name of [...names].sort()) {
      const [was, is] = [childOf(one, name), childOf(other, name)];
      const place = `${path}/${name}`;
      if (was === undefined || is === undefined)
        changes.push({ path: place, kind: was === undefined ? 'added' : 'removed', fields: [] });
      else addChange(changes, place, was, is);
      const [left, right] = [was, is].map((node) => (node?.type === 'directory' ? node : undefined));
      if (left !== right) compare(place, left, right);
    }
  };
  addChange(changes, '/etc', before, after);
  compare('/etc', before, after);
  return changes;
}

function addChange(
  changes: EtcChange[],
  path: ByteString,
  was: ReturnType<typeof nodeOf>,
  is: ReturnType<typeof nodeOf>,
) {
  if (was === is) return;
  const fields = metadataFields(was, is)
    .filter((field) => !field.same(was, is))
    .map(({ name }) => name);
  if (!sameContent(was, is)) fields.unshift('content');
  if (fields.length > 0) changes.push({ path, kind: 'changed', fields });
}
