/** Mends what a device keeps beside its pool, with nothing but what is there. The caller holds the device's lock. */
import { readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isSystemError, OsupdError } from '../../core/errors.ts';
import type { Problem } from '../../objects/problem.ts';
import { formatTime } from '../../repository/json-fields.ts';
import { removeDurably, writeFileDurably } from '../../sys/durable.ts';
import type { Configuration } from '../configuration.ts';
import {
  type Deployment,
  deploymentFiles,
  deploymentId,
  parseDeployment,
  parseStack,
  serialOf,
} from '../deployment-files.ts';
import type { DeviceRoot } from '../device.ts';
import { recoverLinks } from '../links.ts';
import { publicAddress } from '../public-address.ts';
import { isStackName } from '../stack-name.ts';

const LINK = /^(?:current|next|rollback)\/([^/.]+)(?:\.prepared)?$/;

/**
 * Removes what was left, finishes cut transitions, and writes damaged deployments again. What their files say is there twice, in
 * `stack` and in `deployment.json`, and the ID vouches for it; a deployment where both are damaged stays as it is.
 * @throws OsupdError `io`, `no-space`
 */
export async function mendDevice(
  device: DeviceRoot,
  configuration: Configuration,
  problems: readonly Problem[],
): Promise<void> {
  for (const { type, path } of problems) {
    if (type === 'damaged-deployment') await rewriteDeployment(device, configuration, path);
    if (type !== 'leftover' || path.startsWith('staging/batch-')) continue;
    const stack = LINK.exec(path)?.[1];
    if (stack !== undefined && isStackName(stack)) recoverLinks(device, stack);
    else removeDurably(join(device.directory, path));
  }
}

async function rewriteDeployment(device: DeviceRoot, configuration: Configuration, path: string): Promise<void> {
  const deployment = whatItWas(device, configuration, path);
  if (deployment === undefined) return;
  for (const [name, text] of deploymentFiles(deployment)) {
    await writeFileDurably(join(device.directory, path, name), text);
  }
}

/** The deployment as one of its files has it; undefined when none is good. */
function whatItWas(device: DeviceRoot, configuration: Configuration, path: string): Deployment | undefined {
  const directory = join(device.directory, path);
  const id = basename(path);
  const stack = basename(dirname(path));
  const read = (name: string) => readIfThere(join(directory, name));
  const json = orUndefined(() => parseDeployment(read('deployment.json'), undefined, directory));
  if (json?.id === id && json.stack === stack) return json;
  const images = orUndefined(() => parseStack(read('stack').toString('latin1'), directory));
  if (images === undefined || deploymentId(serialOf(id), images) !== id) return undefined;
  return {
    schema: 'osupd-deployment/1',
    id,
    stack,
    images,
    createdAt: formatTime(statSync(directory).mtime),
    origin: { url: publicAddress(configuration.url[0] ?? ''), channel: configuration.channel },
    arguments: read('arguments').toString('utf8').split(/\s+/).filter(Boolean),
  };
}

function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return Buffer.alloc(0);
    throw error;
  }
}

function orUndefined<Result>(parse: () => Result): Result | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof OsupdError && error.code === 'damaged-store') return undefined;
    throw error;
  }
}
