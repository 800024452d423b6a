/** Making the signed part of each TUF role (TUF 1.0, section 4). */

import {
  Metadata,
  MetadataKind,
  type MetaFile,
  type Root,
  type Snapshot,
  TargetFile,
  type Targets,
  type Timestamp,
} from '@tufjs/models';
import { sha256Of } from '../core/sha256.ts';
import { formatTime } from './json-fields.ts';
import { tufKey } from './key-file.ts';
import { DELEGATED_PATHS, DELEGATED_ROLES, type DelegatedRoleName, TOP_ROLES, type TopRoleName } from './roles.ts';
import type { Signers } from './signing.ts';
import type { RoleMetadata } from './view.ts';

/** What every role has. */
export interface Term {
  readonly version: number;
  readonly now: Date;
  /** Seconds until it expires. */
  readonly lifetime: number;
}

type JsonObject = Parameters<typeof Metadata.fromJSON>[1];

/** The field of our own in every role: its lifetime in seconds, so that whoever signs it next keeps to it. */
const LIFETIME_FIELD = 'x-osupd-lifetime';

const SPEC_VERSION = '1.0.31';

/** The lifetime that a role's metadata was signed for, in seconds; undefined where another program signed it. */
export function lifetimeOf(metadata: RoleMetadata): number | undefined {
  const value = metadata.signed.unrecognizedFields[LIFETIME_FIELD];
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : undefined;
}

/** @param signersOf keys and threshold of each top-level role */
export function rootDocument(term: Term, signersOf: (role: TopRoleName) => Signers): Metadata<Root> {
  const signed = {
    ...commonFields(MetadataKind.Root, term),
    consistent_snapshot: true,
    keys: keysJson(TOP_ROLES.map(signersOf)),
    roles: Object.fromEntries(TOP_ROLES.map((name) => [name, roleJson(signersOf(name))])),
  };
  return Metadata.fromJSON(MetadataKind.Root, unsigned(signed));
}

/**
 * The top-level targets role; it signs no target itself.
 * @param signersOf keys and threshold of each delegated role
 */
export function targetsDocument(term: Term, signersOf: (role: DelegatedRoleName) => Signers): Metadata<Targets> {
  const signed = {
    ...commonFields(MetadataKind.Targets, term),
    targets: {},
    delegations: {
      keys: keysJson(DELEGATED_ROLES.map(signersOf)),
      roles: DELEGATED_ROLES.map((name) => ({
        name,
        ...roleJson(signersOf(name)),
        terminating: true,
        paths: [DELEGATED_PATHS[name]],
      })),
    },
  };
  return Metadata.fromJSON(MetadataKind.Targets, unsigned(signed));
}

/** A delegated role with its targets. */
export function delegatedDocument(term: Term, targets: ReadonlyMap<string, TargetFile>): Metadata<Targets> {
  const signed = {
    ...commonFields(MetadataKind.Targets, term),
    targets: Object.fromEntries([...targets].sort(byName).map(([name, target]) => [name, target.toJSON()])),
  };
  return Metadata.fromJSON(MetadataKind.Targets, unsigned(signed));
}

/** @param meta by role file name without version (`targets.json`) */
export function snapshotDocument(term: Term, meta: ReadonlyMap<string, MetaFile>): Metadata<Snapshot> {
  const signed = {
    ...commonFields(MetadataKind.Snapshot, term),
    meta: Object.fromEntries([...meta].sort(byName).map(([name, file]) => [name, file.toJSON()])),
  };
  return Metadata.fromJSON(MetadataKind.Snapshot, unsigned(signed));
}

export function timestampDocument(term: Term, snapshot: MetaFile): Metadata<Timestamp> {
  const signed = { ...commonFields(MetadataKind.Timestamp, term), meta: { 'snapshot.json': snapshot.toJSON() } };
  return Metadata.fromJSON(MetadataKind.Timestamp, unsigned(signed));
}

/** A target's length and SHA-256. */
export function targetFileOf(target: string, bytes: Uint8Array): TargetFile {
  const sha256 = sha256Of(bytes);
  return new TargetFile({ path: target, length: bytes.length, hashes: { sha256 } });
}

function commonFields(kind: MetadataKind, { version, now, lifetime }: Term) {
  return {
    _type: kind,
    spec_version: SPEC_VERSION,
    version,
    expires: formatTime(new Date(now.getTime() + lifetime * 1000)),
    [LIFETIME_FIELD]: lifetime,
  };
}

function keysJson(signers: readonly Signers[]) {
  const keys = signers.flatMap((role) => role.keys).map((key) => [key.keyId, tufKey(key).toJSON()] as const);
  return Object.fromEntries(keys.sort(byName));
}

function roleJson({ keys, threshold }: Signers) {
  return { keyids: keys.map((key) => key.keyId).sort(), threshold };
}

function unsigned(signed: object): JsonObject {
  return { signed, signatures: [] } as unknown as JsonObject;
}

function byName(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1;
}
