/**
 * Metadata that waits for signatures whose keys are elsewhere: `.pending/ROLE.json` in the repository, never served. It can be
 * carried to another machine together with `metadata/`, signed there, and carried back.
 */

import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MetadataKind } from '@tufjs/models';
import { removeDurably, writeFileDurably } from '../sys/durable.ts';
import { listNames } from './list-names.ts';
import { isRole, type RoleName } from './roles.ts';
import { encodeMetadata } from './signing.ts';
import { parseMetadata, type RoleMetadata } from './view.ts';

export type PendingMetadata = ReadonlyMap<RoleName, RoleMetadata>;

/**
 * What waits for signatures; empty when nothing does.
 * @throws OsupdError `damaged-repository` for a file that is no metadata
 */
export async function readPending(directory: string): Promise<PendingMetadata> {
  const found = new Map<RoleName, RoleMetadata>();
  for (const name of await listNames(pendingDirectory(directory))) {
    const role = name.replace(/\.json$/, '');
    if (!name.endsWith('.json') || !isRole(role)) continue;
    const file = join(pendingDirectory(directory), name);
    const bytes = await readFile(file);
    const isRoot = role === 'root';
    found.set(
      role,
      isRoot ? parseMetadata(MetadataKind.Root, bytes, file) : parseMetadata(MetadataKind.Targets, bytes, file),
    );
  }
  return found;
}

/** Writes what waits for signatures, in place of what did before. */
export async function writePending(directory: string, pending: PendingMetadata): Promise<void> {
  const place = pendingDirectory(directory);
  await mkdir(place, { recursive: true });
  for (const name of await listNames(place)) {
    if (!pending.has(name.replace(/\.json$/, '') as RoleName)) await rm(join(place, name), { recursive: true });
  }
  for (const [role, metadata] of pending) {
    await writeFileDurably(join(place, `${role}.json`), encodeMetadata(metadata));
  }
}

export function removePending(directory: string): void {
  removeDurably(pendingDirectory(directory));
}

function pendingDirectory(directory: string): string {
  return join(directory, '.pending');
}
