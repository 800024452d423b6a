/**
 * A switch that takes effect when the machine starts: the deployment gets its /etc, its kernel and an entry in the boot menu that is
 * before all others. Links stay as they are: `next` until the deployment has proved itself (mark-boot.ts), `current` what to fall back to.
 *
 * The caller holds the device's lock.
 */

import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Digest } from '../../core/digest.ts';
import { OsupdError } from '../../core/errors.ts';
import { checkComplete } from '../completeness.ts';
import { stackNamed } from '../configuration.ts';
import type { EtcPolicy } from '../configuration-file.ts';
import { readDeployment } from '../deployment.ts';
import type { Deployment } from '../deployment-files.ts';
import { EtcDirectory } from '../etc/etc-directory.ts';
import { changesLostByRollback, type EtcChange } from '../etc/local-changes.ts';
import { type EtcSide, prepareEtc } from '../etc/prepare-etc.ts';
import type { EtcReport } from '../etc/report.ts';
import { readLinks } from '../links.ts';
import { sealObjects } from '../seal.ts';
import { stackTree } from '../stack-tree.ts';
import type { SwitchOptions } from '../switch.ts';
import { findBootFiles } from './boot-files.ts';
import type { BootEntry } from './entry.ts';
import { bootArguments } from './kernel-arguments.ts';
import { deadEntries, removeEntries, spareEntries, unnamedFiles } from './prune.ts';
import { attemptsLeft, type BootSession, bootedId, keptEntries, usesGrub } from './session.ts';
import { type EntryPlan, type EntryRequest, noBootSpace, planBootEntry, writePlan } from './write-entry.ts';

export type BootSwitchOptions = Omit<SwitchOptions, 'live'>;

/** A change of what the machine boots. */
export interface BootChange {
  readonly stack: string;
  /** ID of the deployment that is booted now, or else is the current one; undefined for none. */
  readonly from: string | undefined;
  readonly to: Deployment;
  readonly entry: BootEntry;
  /** The text of the entry. */
  readonly text: string;
  /** Files that went, or would go, to the boot partition: paths on it, with their bytes. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  /** Entries that went, or would go. */
  readonly removed: readonly BootEntry[];
  /** False when the entry was there already. */
  readonly changed: boolean;
  /** What becomes of local changes in /etc; undefined where the deployment keeps the /etc that it had. */
  readonly etc: EtcReport | undefined;
  /** What `from` has changed in /etc and such a deployment does not have. */
  readonly lost: readonly EtcChange[];
}

/**
 * Makes the next deployment of a stack the one that the machine boots; done again, it changes nothing.
 * @returns undefined when nothing is next.
 * @throws OsupdError `no-space` before anything is written, `not-found` for an image without a kernel, `damaged-store`, `usage`.
 */
export async function switchAtBoot(
  session: BootSession,
  stack: string,
  options: BootSwitchOptions,
): Promise<BootChange | undefined> {
  const { device, configuration } = session;
  stackNamed(configuration, stack);
  const { next } = readLinks(device, stack);
  if (next === undefined || next === bootedId(session, stack)) return undefined;
  return bootDeployment(session, stack, next, { ...options, tries: configuration.boot.tries, etc: 'carry' });
}

/**
 * Makes an earlier deployment the one that the machine boots. One that was good before is not counted.
 * @param to ID of the deployment; without it the current one where another is being tried, else the rollback.
 * @returns undefined when it is booted already and is what the machine boots next.
 * @throws OsupdError `not-found` when there is none; else as {@link switchAtBoot}.
 */
export async function rollbackAtBoot(
  session: BootSession,
  stack: string,
  to: string | undefined,
  options: BootSwitchOptions,
): Promise<BootChange | undefined> {
  const { device, configuration, boot } = session;
  stackNamed(configuration, stack);
  const { current, rollback } = readLinks(device, stack);
  const booted = bootedId(session, stack);
  const target = to ?? (booted !== undefined && booted !== current ? current : rollback);
  if (target === undefined) {
    throw new OsupdError('not-found', 'there is no deployment to go back to', {
      where: stack,
      remedy: 'osupd status lists what there is; osupd rollback --to ID takes any of it',
    });
  }
  const [first] = boot.entries(stack);
  if (target === booted && first?.id === target) return undefined;
  const wasGood =
    target === current ||
    target === rollback ||
    boot.entries(stack).some(({ id, left }) => id === target && left === undefined);
  const tries = wasGood ? undefined : configuration.boot.tries;
  return bootDeployment(session, stack, target, { ...options, tries, etc: 'keep' });
}

/** How a deployment is to be booted. */
interface BootOptions extends BootSwitchOptions {
  /** Undefined for one that was good. */
  readonly tries: number | undefined;
  /** Local changes of what runs are carried over; or the deployment keeps the /etc that it had when it ran, if it did. */
  readonly etc: 'carry' | 'keep';
}

/** Gives a deployment its /etc and the entry that comes first, where they are not there. */
export async function bootDeployment(
  session: BootSession,
  stack: string,
  id: string,
  options: BootOptions,
): Promise<BootChange> {
  const { device, configuration, boot } = session;
  const to = readDeployment(device, stack, id);
  await checkComplete(device.pool, to.images, options);
  if (!options.dryRun) await sealObjects(device.pool, to.images);
  const tree = await stackTree(device.pool, to.images);
  const { etc: policy } = stackNamed(configuration, stack);
  const request: EntryRequest = {
    ...{ device, boot, deployment: to, files: findBootFiles(tree, to.boot), title: titleOf(to) },
    commandLine: bootArguments(to, configuration.boot, { root: rootOnState(session), etc: policy }),
    grub: usesGrub(session),
    ...(options.tries === undefined ? {} : { tries: options.tries }),
  };
  const plan = await planBootEntry(request);
  const from = bootedId(session, stack) ?? readLinks(device, stack).current;
  const change = { stack, from, to };
  const present = presentEntry(session, request, plan);
  const gone = entriesToRemove(session, stack, id, present === undefined ? plan : undefined);
  options.signal?.throwIfAborted();
  const { etc, lost } = await etcOf(session, { id: from, stack, policy }, { id, tree }, options);
  if (!options.dryRun) {
    removeEntries(boot, gone, usesGrub(session));
    if (present === undefined) await writePlan(request, plan);
    // Those that the new entry has replaced.
    const replaced = deadEntries(boot.entries(), keptEntries(session, stack, id));
    if (replaced.length > 0) removeEntries(boot, replaced, usesGrub(session));
  }
  const files = plan.files.map(({ file, path }) => ({ path, bytes: file.size }));
  return {
    ...{ ...change, entry: present ?? plan.entry, text: plan.text },
    ...{ files, removed: gone, changed: present === undefined, etc, lost },
  };
}

/** The /etc of a deployment, made unless it has one that it is to keep; then what it lacks of the one that runs. */
async function etcOf(
  { device }: BootSession,
  from: { readonly id: string | undefined; readonly stack: string; readonly policy: EtcPolicy },
  to: EtcSide,
  { etc, dryRun }: BootOptions,
): Promise<Pick<BootChange, 'etc' | 'lost'>> {
  const { id, stack, policy } = from;
  if (id === to.id) return { etc: undefined, lost: [] };
  const { pool } = device;
  const running = id === undefined ? undefined : await stackTree(pool, readDeployment(device, stack, id).images);
  const request = {
    ...{ device, stack, to, policy, dryRun: dryRun ?? false },
    from: id === undefined || running === undefined ? undefined : { id, tree: running },
    openObject: (digest: Digest) => pool.openObject(digest),
  };
  return etc === 'keep' && existsSync(new EtcDirectory(device, stack, to.id).upper)
    ? { etc: undefined, lost: await changesLostByRollback(request) }
    : { etc: await prepareEtc(request), lost: [] };
}

/** The first entry, when it says what the plan wants, and its files are there. */
function presentEntry(session: BootSession, { tries }: EntryRequest, plan: EntryPlan): BootEntry | undefined {
  const { id, stack, contents } = plan.entry;
  const [first] = session.boot.entries(stack);
  if (first === undefined || first.id !== id || plan.files.length > 0) return undefined;
  if (JSON.stringify(first.contents) !== JSON.stringify(contents)) return undefined;
  const left = attemptsLeft(session, first);
  return left === undefined || (tries !== undefined && left > 0) ? first : undefined;
}

/** Dead entries; when space is short, as many others as it takes. @throws OsupdError `no-space` when even that is not enough */
function entriesToRemove(session: BootSession, stack: string, id: string, plan: EntryPlan | undefined): BootEntry[] {
  const { boot } = session;
  const entries = boot.entries();
  const kept = keptEntries(session, stack, id);
  const gone = deadEntries(entries, kept);
  if (plan === undefined) return gone;
  const missing = () => {
    const left = entries.filter((entry) => !gone.includes(entry));
    const freed = unnamedFiles(boot, left).reduce((sum, { bytes }) => sum + bytes, 0);
    return plan.bytes - boot.freeBytes() - freed;
  };
  for (const spare of spareEntries(entries, kept)) {
    if (missing() <= 0) break;
    if (!gone.includes(spare)) gone.push(spare);
  }
  if (missing() > 0) throw noBootSpace(boot, plan.bytes, missing());
  return gone;
}

/** The device root as the machine finds it that is to boot. */
function rootOnState({ device, stateDirectory }: BootSession): string {
  return stateDirectory === undefined ? device.directory : join('/', relative(stateDirectory, device.directory));
}

/** What people see in the boot menu: `os 2, kiosk 7 (3-5f0c1b8ad1e2)`. */
export function titleOf({ images, id }: Deployment): string {
  return `${images.map(({ name, version }) => `${name} ${version}`).join(', ')} (${id})`;
}
