/**
 * Makes the /etc of a deployment before it is booted: the local changes of the deployment that runs, carried over to the new default.
 *
 * What is made is on disk under another name before it takes its place in one step; the /etc of the deployment that it comes from
 * is only read. So a cut leaves the old state, and a rollback finds the /etc of then.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ByteString, fromBytes, fromText, toText } from '../../core/bytes.ts';
import { OsupdError, toOsupdError } from '../../core/errors.ts';
import { syncFileSystem } from '../../sys/durable.ts';
import { readMounts } from '../../sys/mountinfo.ts';
import { type DirectoryNode, EPOCH, type FileNode, nodeOf, type Tree } from '../../tree/tree.ts';
import type { EtcPolicy } from '../configuration-file.ts';
import type { DeviceRoot } from '../device.ts';
import { type OpenContent, TreeWriter } from '../write-tree.ts';
import { childOf } from './compare-nodes.ts';
import { EtcDirectory } from './etc-directory.ts';
import { renumbered } from './merge-accounts.ts';
import { isReadable } from './merge-contents.ts';
import { mergeEtc } from './merge-trees.ts';
import { readContent } from './read-content.ts';
import { type EtcConflict, type EtcReport, plainEtcReport } from './report.ts';
import { untilAtRest } from './until-at-rest.ts';
import { emptyCopy, readUpper, shownTree } from './upper.ts';

/** A deployment and what its images show together. */
export interface EtcSide {
  readonly id: string;
  readonly tree: Tree;
}

export interface EtcRequest {
  readonly device: DeviceRoot;
  readonly stack: string;
  /** The deployment whose local changes are carried over: the one that runs. Undefined for a first installation. */
  readonly from: EtcSide | undefined;
  readonly to: EtcSide;
  readonly policy: EtcPolicy;
  /** Find out what there is to do, but write nothing. */
  readonly dryRun?: boolean;
  readonly openObject: OpenContent;
}

/**
 * Makes `ROOT/etc/STACK/ID/` of the deployment `to`, or makes it anew. Done again, it gives the same. With the policy
 * `volatile`, there is nothing to make. The caller holds the device's lock (but for a dry run).
 *
 * @throws OsupdError `busy` when `to` runs with this /etc; `invalid-tree` for an image without /etc; `no-space`; `damaged-store`;
 *   `changed-while-read` where /etc does not come to rest.
 */
export async function prepareEtc(request: EtcRequest): Promise<EtcReport> {
  const { device, stack, from, to, policy } = request;
  const empty = { stack, from: from?.id ?? null, to: to.id, policy };
  if (policy === 'volatile') return { ...empty, conflicts: [], merged: [], kept: [], dropped: [] };
  const directory = new EtcDirectory(device, stack, to.id);
  try {
    return await untilAtRest(async () => {
      const plan = await planEtc(request);
      const report = { ...plan.report, conflicts: withDefaults(plan, directory) };
      if (!request.dryRun) await writeEtc(directory, { ...plan, report }, request.openObject);
      return report;
    });
  } catch (error) {
    throw toOsupdError(error, directory.path);
  }
}

/** The conflicts, with where their new defaults are going to be. */
function withDefaults({ report, defaults }: EtcPlan, directory: EtcDirectory): EtcConflict[] {
  return report.conflicts.map((conflict) => {
    const below = conflict.path.slice('/etc/'.length);
    if (!defaults.has(below)) return conflict;
    return { ...conflict, newDefault: toText(`${fromText(directory.defaults)}/${below}`) };
  });
}

export interface EtcPlan {
  readonly report: EtcReport;
  /** What the upper directory over the new default is to hold. */
  readonly upper: DirectoryNode;
  /** New defaults of files in conflict, by their paths below /etc. */
  readonly defaults: ReadonlyMap<ByteString, FileNode>;
}

/** What {@link prepareEtc} would make. */
export async function planEtc({ device, stack, from, to, policy, openObject }: EtcRequest): Promise<EtcPlan> {
  const next = etcOf(to);
  const old = from && etcOf(from);
  const local = from && (await readUpper(new EtcDirectory(device, stack, from.id).upper));
  // Without an upper there are no local changes: /etc shows its default.
  const upper = local ?? emptyCopy(old ?? next);
  const merged = await mergeEtc(old, upper, next, policy, (file) => readContent(file, openObject));
  const before = old && shownTree(old, upper);
  for (const file of ['passwd', 'group'] as const) {
    const texts = [before, shownTree(next, merged.upper)].map((shown) => readAccounts(shown, file, openObject));
    const [was = '', is = ''] = await Promise.all(texts);
    for (const detail of renumbered(was, is))
      merged.lists.conflicts.push({ path: `/etc/${file}`, reason: 'renumbered', detail });
  }
  const report = { stack, from: from?.id ?? null, to: to.id, policy, ...merged.lists };
  return { report, upper: merged.upper, defaults: merged.defaults };
}

/** An account file as it shows; empty when there is none that can be read. */
async function readAccounts(shown: DirectoryNode | undefined, name: string, open: OpenContent): Promise<ByteString> {
  const file = childOf(shown, name);
  return file?.type === 'file' && isReadable(file) ? fromBytes(await readContent(file, open)) : '';
}

/** The /etc of a deployment's tree. @throws OsupdError `invalid-tree` where it has none. */
export function etcOf({ id, tree }: EtcSide): DirectoryNode {
  const entry = tree.root.children.get('etc');
  if (entry?.type === 'directory') return entry;
  throw new OsupdError('invalid-tree', 'the stack has no directory /etc', {
    where: id,
    remedy: 'build an image that has one, if only an empty one',
  });
}

async function writeEtc(directory: EtcDirectory, plan: EtcPlan, open: OpenContent): Promise<void> {
  refuseInUse(directory);
  const aside = directory.begin();
  const writer = new TreeWriter(open);
  await writer.write(plan.upper, fromText(join(aside, 'upper')));
  mkdirSync(join(aside, 'work'), 0o700);
  await new TreeWriter(open).write(directoryOfFiles(plan.defaults), fromText(join(aside, 'defaults')));
  const report = `${JSON.stringify(plainEtcReport(plan.report))}\n`;
  writeFileSync(join(aside, 'report.json'), report, { mode: 0o600 });
  syncFileSystem(aside);
  directory.finish(aside);
}

/** Files at their paths, in directories that only root may look into. */
function directoryOfFiles(files: ReadonlyMap<ByteString, FileNode>): DirectoryNode {
  const newDirectory = (): DirectoryNode => ({
    ...{ type: 'directory', mode: 0o700, uid: 0, gid: 0, nlink: 2, mtime: EPOCH, xattrs: new Map() },
    children: new Map(),
  });
  const root = newDirectory();
  for (const [path, file] of files) {
    let parent = root;
    const names = path.split('/');
    for (const name of names.slice(0, -1)) {
      const found = parent.children.get(name);
      const child = found?.type === 'directory' ? found : newDirectory();
      parent.children.set(name, child);
      parent = child;
    }
    parent.children.set(names.at(-1) ?? '', nodeOf(file));
  }
  return root;
}

/** An overlay does not survive that its upper directory is taken away under it. */
function refuseInUse(directory: EtcDirectory): void {
  const { upper } = directory;
  // The initramfs mounts with a name relative to the device root.
  const names = [upper, upper.split('/').slice(-4).join('/')].map((name) => `upperdir=${name}`);
  const inUse = readMounts().some(
    ({ type, options }) => type === 'overlay' && options.some((each) => names.includes(each)),
  );
  if (!inUse) return;
  throw new OsupdError('busy', 'this /etc is mounted', {
    where: upper,
    remedy: 'restart the machine into another deployment first',
  });
}
