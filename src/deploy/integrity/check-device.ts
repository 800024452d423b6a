/** Checks what a device keeps beside its pool: deployments, the names they have, records, and unfinished work. */
import { type Dirent, existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isSystemError, OsupdError, toOsupdError } from '../../core/errors.ts';
import type { Problem } from '../../objects/problem.ts';
import { isReplacedDirectory } from '../../objects/replaced-files.ts';
import { listDeploymentIds, readDeployment } from '../deployment.ts';
import { deploymentFiles, isDeploymentId } from '../deployment-files.ts';
import type { DeviceRoot, LinkKind } from '../device.ts';
import { isStackName } from '../stack-name.ts';

const LINKS: readonly LinkKind[] = ['current', 'next', 'rollback'];

/** Directories of records by stack and deployment, and what such a record is without its deployment. */
const BY_DEPLOYMENT: Readonly<Record<string, string>> = {
  pins: 'pins a deployment that is not there',
  etc: 'the /etc of a deployment that is not there',
};

/**
 * Problems of a device beside those of its pool. Unfinished work is only told of with `idle`: no other osupd changes the
 * device now, so nobody will finish it.
 * @throws OsupdError `io`
 */
export function* checkDevice(device: DeviceRoot, idle: boolean): Generator<Problem> {
  yield* checkDeployments(device);
  if (!idle) return;
  for (const kind of LINKS) yield* checkLinks(device, kind);
  for (const [folder, detail] of Object.entries(BY_DEPLOYMENT)) {
    for (const { stack, name, path } of entriesByStack(device, folder)) {
      if (!isThere(device, stack, name)) yield leftover(path, detail);
    }
  }
  for (const { name, path } of entriesByStack(device, 'failed')) {
    const problem = recordProblem(device, name, path);
    if (problem !== undefined) yield leftover(path, problem);
  }
  yield* checkStaging(device);
  for (const folder of ['', 'trust', 'current', 'next', 'rollback']) {
    for (const { name } of list(device, folder)) {
      if (isTemporary(name)) yield leftover(join(folder, name), 'a temporary file of a process that died');
    }
  }
}

function* checkDeployments(device: DeviceRoot): Generator<Problem> {
  for (const stack of device.stacks()) {
    for (const { name } of list(device, `deployments/${stack}`)) {
      const path = `deployments/${stack}/${name}`;
      if (isTemporary(name)) yield leftover(path, 'a deployment that was being removed');
      else if (!isDeploymentId(name)) yield { type: 'foreign-file', path, detail: 'this is not of osupd', images: [] };
    }
    for (const id of listDeploymentIds(device, stack)) {
      const detail = deploymentProblem(device, stack, id);
      if (detail !== undefined)
        yield { type: 'damaged-deployment', path: `deployments/${stack}/${id}`, detail, images: [] };
    }
  }
}

/** What is wrong with the files of a deployment; undefined for a good one, and for one that has just been removed. */
function deploymentProblem(device: DeviceRoot, stack: string, id: string): string | undefined {
  try {
    const deployment = readDeployment(device, stack, id);
    for (const [name, text] of deploymentFiles(deployment)) {
      // What a newer osupd has added to the document stays.
      if (name === 'deployment.json') continue;
      const path = join(device.deploymentDirectory(stack, id), name);
      if (!existsSync(path)) return `it has no file "${name}"`;
      if (readFileSync(path, 'utf8') !== text) return `its files "${name}" and "deployment.json" differ`;
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof OsupdError) || error.code === 'not-found') return undefined;
    return error.message;
  }
}

function* checkLinks(device: DeviceRoot, kind: LinkKind): Generator<Problem> {
  for (const { name, isSymlink } of list(device, kind)) {
    const path = `${kind}/${name}`;
    const stack = name.replace(/\.prepared$/, '');
    if (isTemporary(name) || !isSymlink || !isStackName(stack)) continue;
    const id = basename(readlinkSync(join(device.directory, path)));
    if (name !== stack) yield leftover(path, 'a switch that was cut off', 'finishes it');
    else if (!isThere(device, stack, id)) yield leftover(path, `names deployment ${id}, which is not there`);
  }
}

function* checkStaging(device: DeviceRoot): Generator<Problem> {
  for (const { name } of list(device, 'staging')) {
    if (name === 'lock' || name.startsWith('batch-') || isReplacedDirectory(name)) continue;
    const detail = name === 'downloads' ? 'downloads of an interrupted pull' : 'unfinished work of a process that died';
    yield leftover(`staging/${name}`, detail);
  }
}

/** Why a record of a failed deployment says nothing; undefined for a good one. */
function recordProblem(device: DeviceRoot, name: string, path: string): string | undefined {
  if (!isDeploymentId(name)) return 'not the record of any deployment';
  try {
    const record: unknown = JSON.parse(readFileSync(join(device.directory, path), 'utf8'));
    const schema = typeof record === 'object' && record !== null && 'schema' in record ? record.schema : undefined;
    return typeof schema === 'string' && schema.startsWith('osupd-failed/') ? undefined : 'not a record of a failure';
  } catch (error) {
    if (error instanceof SyntaxError || isSystemError(error, 'EISDIR')) return 'not a record of a failure';
    throw toOsupdError(error, path);
  }
}

function leftover(path: string, detail: string, remedy?: string): Problem {
  return {
    type: 'leftover',
    path,
    detail: remedy === undefined ? detail : `${detail}; a repair ${remedy}`,
    images: [],
  };
}

function isThere(device: DeviceRoot, stack: string, id: string): boolean {
  return isDeploymentId(id) && existsSync(device.deploymentDirectory(stack, id));
}

/** Names that `sys/durable.ts` gives to what is not complete. */
function isTemporary(name: string): boolean {
  return /^\..+\.tmp$/.test(name);
}

interface Entry {
  readonly name: string;
  readonly isSymlink: boolean;
  readonly isDirectory: boolean;
}

/** What is in FOLDER/STACK/, for every stack. */
function* entriesByStack(device: DeviceRoot, folder: string): Generator<{ stack: string; name: string; path: string }> {
  for (const stack of list(device, folder)) {
    if (!stack.isDirectory || !isStackName(stack.name)) continue;
    for (const { name } of list(device, `${folder}/${stack.name}`))
      yield { stack: stack.name, name, path: `${folder}/${stack.name}/${name}` };
  }
}

function list(device: DeviceRoot, folder: string): Entry[] {
  try {
    const entries: Dirent[] = readdirSync(join(device.directory, folder), { withFileTypes: true });
    return entries
      .map((each) => ({ name: each.name, isSymlink: each.isSymbolicLink(), isDirectory: each.isDirectory() }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    // Folders that come with their first entry.
    if (isSystemError(error, 'ENOENT')) return [];
    throw toOsupdError(error, folder);
  }
}
