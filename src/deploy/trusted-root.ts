/**
 * The root of trust that `osupd init` pins: the first TUF root metadata that the device believes, because its owner says so.
 * Every later root must be signed by the keys of the one before (TUF 1.0, section 5.3).
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Metadata, MetadataKind } from '@tufjs/models';
import { OsupdError } from '../core/errors.ts';
import { MAX_METADATA_BYTES } from '../core/limits.ts';
import { sha256Of } from '../core/sha256.ts';
import { parseJson } from '../repository/json-fields.ts';
import { isSignedBy } from '../repository/view.ts';
import { removeDurably, writeFileDurably } from '../sys/durable.ts';
import type { DeviceRoot } from './device.ts';

export interface RootFacts {
  readonly version: number;
  /** SHA-256 of the file, hexadecimal: what people compare. */
  readonly sha256: string;
}

/** The newest root that pull has verified, which begins as the pinned one. */
const NEWEST = 'root.json';
/** The pinned one as it was given. Written last: without it the pinning is not complete. */
const PINNED = 'pinned-root';

/**
 * Checks that some bytes are root metadata, signed by the keys that it lists itself.
 * @param where where the bytes are from, for messages.
 * @throws OsupdError `verification-failed`
 */
export function checkRoot(bytes: Uint8Array, where: string): RootFacts {
  const bad = (what: string, cause?: unknown): OsupdError =>
    new OsupdError('verification-failed', `not the root metadata of a repository: ${what}`, {
      where,
      remedy: 'give the file metadata/1.root.json of the repository',
      ...(cause === undefined ? {} : { cause }),
    });
  if (bytes.length > MAX_METADATA_BYTES) throw bad(`it has ${bytes.length} bytes`);
  const root = parseRoot(parseJson(bytes, bad), bad);
  if (!isSignedBy(root, 'root', root)) throw bad('it is not signed by the keys that it lists');
  return { version: root.signed.version, sha256: sha256Of(bytes) };
}

function parseRoot(json: unknown, bad: (what: string, cause: unknown) => OsupdError) {
  try {
    return Metadata.fromJSON(MetadataKind.Root, json as never);
  } catch (error) {
    throw bad((error as Error).message, error);
  }
}

/** The root that was pinned; undefined before the first, or when its pinning was cut off. */
export function pinnedRoot(device: DeviceRoot): Buffer | undefined {
  const path = join(device.trustDirectory, PINNED);
  return existsSync(path) ? readFileSync(path) : undefined;
}

/** Pins a checked root. What another root vouched for before is forgotten. */
export async function pinRoot(device: DeviceRoot, bytes: Uint8Array): Promise<void> {
  const directory = device.trustDirectory;
  for (const name of readdirSync(directory)) {
    if (name !== NEWEST && name !== PINNED) removeDurably(join(directory, name));
  }
  await writeFileDurably(join(directory, NEWEST), bytes);
  await writeFileDurably(join(directory, PINNED), bytes);
}
