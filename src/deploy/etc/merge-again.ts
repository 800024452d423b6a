/**
 * The merge once more when the machine stops: what was changed in /etc between `osupd switch` and the restart comes along. Conflicts
 * that were not there at the switch are for the log: nobody can be asked any more, and the local version stays.
 */
import { readFileSync } from 'node:fs';
import { toText } from '../../core/bytes.ts';
import { OsupdError, toOsupdError } from '../../core/errors.ts';
import { MAX_TREE_NODES } from '../../core/limits.ts';
import { parseDocument } from '../../repository/json-fields.ts';
import type { EtcPolicy } from '../configuration-file.ts';
import { listDeploymentIds, readDeployment } from '../deployment.ts';
import type { DeviceRoot } from '../device.ts';
import { stackTree } from '../stack-tree.ts';
import { EtcDirectory, listEtcDirectories } from './etc-directory.ts';
import { type EtcSide, prepareEtc } from './prepare-etc.ts';
import { ETC_SCHEMA, type EtcConflict, type EtcReport } from './report.ts';

/** What the last merge for a deployment said, as far as it is needed again. */
interface MergeRecord {
  readonly from: string | undefined;
  readonly policy: EtcPolicy;
  /** By {@link conflictKey}. */
  readonly conflicts: ReadonlySet<string>;
}

export interface AgainMerged {
  readonly report: EtcReport;
  /** Conflicts that the last merge did not have. */
  readonly fresh: readonly EtcConflict[];
}

/**
 * Merges again for each deployment of a stack that was prepared from the one that runs, and was not booted since. The caller holds the
 * device's lock.
 * @throws OsupdError as {@link prepareEtc}.
 */
export async function mergeEtcAgain(device: DeviceRoot, stack: string, booted: string): Promise<AgainMerged[]> {
  const merged: AgainMerged[] = [];
  const existing = new Set(listDeploymentIds(device, stack));
  if (!existing.has(booted)) return [];
  let from: EtcSide | undefined;
  for (const id of listEtcDirectories(device, stack)) {
    const directory = new EtcDirectory(device, stack, id);
    if (id === booted || !existing.has(id) || !directory.isUnused()) continue;
    const last = readRecord(directory);
    if (last.from !== booted) continue;
    from ??= await sideOf(device, stack, booted);
    const to = await sideOf(device, stack, id);
    const openObject = device.pool.openObject.bind(device.pool);
    const report = await prepareEtc({ device, stack, from, to, policy: last.policy, openObject });
    const fresh = report.conflicts.filter((conflict) => !last.conflicts.has(conflictKey(asText(conflict))));
    merged.push({ report, fresh });
  }
  return merged;
}

/** A deployment with what its images show. @throws OsupdError `not-found`, `damaged-store`, `damaged-image` */
export async function sideOf(device: DeviceRoot, stack: string, id: string): Promise<EtcSide> {
  const { images } = readDeployment(device, stack, id);
  return { id, tree: await stackTree(device.pool, images) };
}

function readRecord(directory: EtcDirectory): MergeRecord {
  const where = directory.report;
  const damaged = (what: string): OsupdError =>
    new OsupdError('damaged-store', `not a valid report of a merge: ${what}`, {
      where,
      remedy: 'run osupd switch again',
    });
  let bytes: Buffer;
  try {
    bytes = readFileSync(where);
  } catch (error) {
    throw toOsupdError(error, where);
  }
  const fields = parseDocument(bytes, ETC_SCHEMA, [], damaged);
  const conflicts = fields.objects('conflicts', MAX_TREE_NODES).map((conflict) => {
    const detail = conflict.has('detail') ? { detail: conflict.string('detail') } : {};
    return conflictKey({ path: conflict.string('path'), reason: conflict.string('reason'), ...detail });
  });
  return {
    from: fields.has('from') ? fields.string('from') : undefined,
    policy: fields.string('policy', (text) => text === 'merge' || text === 'keep') as EtcPolicy,
    conflicts: new Set(conflicts),
  };
}

function asText({ path, reason, detail = '' }: EtcConflict) {
  return { path: toText(path), reason, detail: toText(detail) };
}

function conflictKey({ path, reason, detail = '' }: { path: string; reason: string; detail?: string }): string {
  return [path, reason, detail].join('\0');
}
