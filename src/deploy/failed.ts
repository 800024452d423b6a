/**
 * What failed on this device: `failed/STACK/ID`, a JSON document for each deployment that did not come up or was marked bad. The same
 * images are not pulled again until that is forgotten. A record outlives its deployment, which gc may remove.
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Digest, isDigest } from '../core/digest.ts';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import { MAX_STACK_IMAGES } from '../core/limits.ts';
import { encodeDocument, type JsonFields, parseDocument } from '../repository/json-fields.ts';
import { removeDurably, syncDirectory, writeFileDurably } from '../sys/durable.ts';
import { type DeployedImage, type Deployment, isDeploymentId, serialOf } from './deployment-files.ts';
import type { DeviceRoot } from './device.ts';

export interface FailedDeployment {
  readonly schema: 'osupd-failed/1';
  readonly stack: string;
  readonly id: string;
  readonly images: readonly DeployedImage[];
  /** When it was found out: UTC, `2030-01-31T23:59:59Z`. */
  readonly at: string;
  readonly why: string;
}

const FIELDS = ['schema', 'critical', 'stack', 'id', 'images', 'at', 'why'];

/** Records of one stack; older ones go. */
const MAX_RECORDS = 32;
/** Characters of a reason. */
const MAX_WHY = 1000;

/** Notes that a deployment failed. Durable when it returns; done again, it changes nothing. */
export async function recordFailed(
  device: DeviceRoot,
  { stack, id, images }: Deployment,
  why: string,
  at: string,
): Promise<FailedDeployment> {
  const before = readFailed(device, stack);
  const known = before.find((each) => each.id === id);
  if (known !== undefined) return known;
  const directory = device.failedDirectory(stack);
  const record: FailedDeployment = {
    ...{ schema: 'osupd-failed/1', stack, id },
    ...{ images, at, why: why.slice(0, MAX_WHY) },
  };
  try {
    mkdirSync(directory, { recursive: true });
  } catch (error) {
    throw toOsupdError(error, directory);
  }
  for (const parent of [directory, dirname(directory)]) syncDirectory(dirname(parent));
  await writeFileDurably(join(directory, id), encodeDocument(record));
  for (const old of before.slice(MAX_RECORDS - 1)) removeDurably(join(directory, old.id));
  return record;
}

/** What failed of a stack, the newest first. @throws OsupdError `damaged-store` */
export function readFailed(device: DeviceRoot, stack: string): FailedDeployment[] {
  const directory = device.failedDirectory(stack);
  return namesIn(directory)
    .sort((a, b) => serialOf(b) - serialOf(a))
    .map((id) => parseFailed(readFileSync(join(directory, id)), join(directory, id)));
}

/** The record of a set of images (the topmost first) that failed; undefined when none did. */
export function failureOf(
  failed: readonly FailedDeployment[],
  images: readonly { readonly digest: Digest }[],
): FailedDeployment | undefined {
  const wanted = digests(images);
  return failed.find((each) => digests(each.images) === wanted);
}

/** Forgets what failed of a stack. @param which only the record of this deployment, or of these images. @returns how many records went. */
export function forgetFailed(
  device: DeviceRoot,
  stack: string,
  which: { readonly id?: string; readonly images?: readonly { readonly digest: Digest }[] } = {},
): number {
  const { id, images } = which;
  const gone = readFailed(device, stack).filter(
    (each) =>
      (id === undefined && images === undefined) ||
      each.id === id ||
      (images !== undefined && digests(each.images) === digests(images)),
  );
  for (const each of gone) removeDurably(join(device.failedDirectory(stack), each.id));
  return gone.length;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).filter(isDeploymentId);
  } catch (error) {
    // Nothing of this stack ever failed.
    if (isSystemError(error, 'ENOENT')) return [];
    throw toOsupdError(error, directory);
  }
}

function parseFailed(bytes: Uint8Array, where: string): FailedDeployment {
  const damaged = (what: string): OsupdError =>
    new OsupdError('damaged-store', `not a valid record of a failure: ${what}`, { where, remedy: 'remove this file' });
  const fields = parseDocument(bytes, 'osupd-failed/1', FIELDS, damaged);
  return {
    schema: 'osupd-failed/1',
    stack: fields.string('stack'),
    id: fields.string('id', isDeploymentId),
    images: fields.objects('images', MAX_STACK_IMAGES).map(parseImage),
    at: fields.time('at'),
    why: fields.string('why'),
  };
}

function parseImage(fields: JsonFields): DeployedImage {
  return {
    name: fields.string('name'),
    version: fields.string('version'),
    digest: fields.string('digest', isDigest) as Digest,
  };
}

function digests(images: readonly { readonly digest: Digest }[]): string {
  return images.map(({ digest }) => digest).join(' ');
}
