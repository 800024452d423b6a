/**
 * One change of a repository's signed state, from the lock to the new timestamp.
 *
 * Order of writing (docs/formats/repository.md): targets and the new versions of roles, which nothing refers to yet; snapshot;
 * everything to disk; timestamp.json, which makes the change visible in one rename. After a crash before that, the old view
 * is whole, and the next revision writes over what was left.
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TargetFile } from '@tufjs/models';
import { syncFileSystem, writeFileDurably } from '../sys/durable.ts';
import { acquireLock, type Lock } from '../sys/lock.ts';
import {
  delegatedDocument,
  lifetimeOf,
  rootDocument,
  snapshotDocument,
  type Term,
  targetFileOf,
  targetsDocument,
  timestampDocument,
} from './documents.ts';
import type { KeyRing } from './key-ring.ts';
import { metadataPath, TIMESTAMP_PATH, targetPath } from './layout.ts';
import {
  DEFAULT_LIFETIMES,
  DELEGATED_ROLES,
  type DelegatedRoleName,
  type RoleName,
  roleOfTarget,
  TOP_ROLES,
} from './roles.ts';
import {
  addSignatures,
  encodeMetadata,
  isComplete,
  metaFileOf,
  requireAnchor,
  requireKeys,
  type Signers,
  signersIn,
} from './signing.ts';
import {
  type RepositoryView,
  type RoleMetadata,
  readTarget,
  readView,
  requireRepository,
  roleMetadata,
} from './view.ts';

/** Temporary files, in the same file system and never served. Whoever holds the lock owns what is in it. */
const STAGING = '.staging';

export class Revision implements Disposable {
  readonly directory: string;
  readonly view: RepositoryView;
  readonly #ring: KeyRing;
  readonly #now: Date;
  readonly #lock: Lock;
  /** Roles with other targets than in the view, and all of their targets. */
  readonly #targets = new Map<DelegatedRoleName, Map<string, TargetFile>>();
  /** Contents of new files by their paths. */
  readonly #contents = new Map<string, Uint8Array>();
  readonly #lifetimes = new Map<RoleName, number>();
  readonly #signers = new Map<RoleName, Signers>();

  private constructor(directory: string, ring: KeyRing, now: Date, lock: Lock, view: RepositoryView) {
    this.directory = directory;
    this.#ring = ring;
    this.#now = now;
    this.#lock = lock;
    this.view = view;
  }

  /**
   * Takes the repository's lock, removes what a crash left in staging, and reads the view.
   * @throws OsupdError `busy`, and what {@link readView} throws
   */
  static async begin(directory: string, ring: KeyRing, now: Date): Promise<Revision> {
    await requireRepository(directory);
    const lock = acquireLock(join(directory, '.lock'), 'exclusive');
    try {
      await rm(join(directory, STAGING), { recursive: true, force: true });
      return new Revision(directory, ring, now, lock, await readView(directory));
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#lock.release();
  }

  /** The directory for temporary files, made when first asked for. */
  async staging(): Promise<string> {
    const path = join(this.directory, STAGING);
    await mkdir(path, { recursive: true });
    return path;
  }

  /**
   * Checks early that all keys are at hand that signing these roles takes; snapshot and timestamp follow every change.
   * @throws OsupdError `not-found` that names the role and its keys
   */
  requireKeys(...names: RoleName[]): void {
    for (const role of new Set<RoleName>([...names, 'snapshot', 'timestamp'])) {
      requireKeys(role, this.signersOf(role), this.#ring);
    }
  }

  /** Keys and threshold of a role, as this revision leaves them. */
  signersOf(role: RoleName): Signers {
    return this.#signers.get(role) ?? signersIn(this.view, role);
  }

  /** The content of a target, as this revision leaves it. */
  async readTarget(target: string): Promise<Uint8Array | undefined> {
    const info = this.#targetsOf(roleOfTarget(target)).get(target);
    if (info === undefined) return undefined;
    const path = targetPath(target, info.hashes.sha256 ?? '');
    return this.#contents.get(path) ?? readTarget(this.directory, target, info);
  }

  /** Adds a target or gives it new content; the content that it has is no change. */
  setTarget(target: string, bytes: Uint8Array): void {
    const info = targetFileOf(target, bytes);
    const sha256 = info.hashes.sha256 ?? '';
    const role = roleOfTarget(target);
    const targets = this.#targetsOf(role);
    if (targets.get(target)?.hashes.sha256 === sha256) return;
    this.#contents.set(targetPath(target, sha256), bytes);
    this.#targets.set(role, new Map(targets).set(target, info));
  }

  /** Writes a file that targets refer to by its content; it is on disk before they are visible. */
  setFile(path: string, bytes: Uint8Array): void {
    this.#contents.set(path, bytes);
  }

  removeTarget(target: string): void {
    const role = roleOfTarget(target);
    const targets = new Map(this.#targetsOf(role));
    if (targets.delete(target)) this.#targets.set(role, targets);
  }

  /** Signs a role again although its content stays. `lifetime`: seconds; as it was, by default. */
  renew(role: RoleName, lifetime = this.#lifetimeOf(role)): void {
    this.#lifetimes.set(role, lifetime);
  }

  /** Gives a role other keys. What it signs carries signatures of the old keys too, as far as the ring has them. */
  setSigners(role: RoleName, signers: Signers): void {
    this.#signers.set(role, signers);
  }

  /**
   * Signs and writes everything that changed. Returns the roles that have a new version; none when nothing changed.
   * @throws OsupdError `not-found` for a missing key, `verification-failed` when the present metadata is not of our keys;
   *   nothing is visible to readers then
   */
  async commit(): Promise<readonly RoleName[]> {
    const changed = this.#changedRoles();
    for (const role of changed) requireAnchor(this.view, role, this.#ring);
    const signed = await this.#signAll(changed);
    const contents = new Map(this.#contents);
    for (const [role, { version, bytes }] of signed) {
      if (role !== 'root' && role !== 'timestamp') contents.set(metadataPath(role, version), bytes);
    }
    await this.#writeUnreferenced(contents);
    await this.#makeVisible(signed);
    return changed;
  }

  /** In the order of signing: each before those that refer to it. */
  #changedRoles(): RoleName[] {
    const touched = (role: RoleName) =>
      this.#lifetimes.has(role) || this.#signers.has(role) || this.view.outdated.has(role);
    const delegated = DELEGATED_ROLES.filter((role) => this.#targets.has(role) || touched(role));
    const targets = touched('targets') || DELEGATED_ROLES.some((role) => this.#signers.has(role));
    const snapshot = delegated.length > 0 || targets || touched('snapshot');
    const timestamp = snapshot || touched('timestamp');
    const root = this.#lifetimes.has('root') || TOP_ROLES.some((role) => this.#signers.has(role));
    return [
      ...delegated,
      ...(targets ? (['targets'] as const) : []),
      ...(snapshot ? (['snapshot'] as const) : []),
      ...(timestamp ? (['timestamp'] as const) : []),
      ...(root ? (['root'] as const) : []),
    ];
  }

  async #signAll(changed: readonly RoleName[]): Promise<Map<RoleName, SignedFile>> {
    const signed = new Map<RoleName, SignedFile>();
    for (const role of changed) {
      const metadata = this.#document(role, signed);
      const before = signersIn(this.view, role);
      const signers = this.signersOf(role);
      requireKeys(role, signers, this.#ring);
      // A new root must be signed by the old one's threshold as well (TUF 1.0, section 6.1).
      if (role === 'root') requireKeys(role, before, this.#ring);
      await addSignatures(metadata, [...before.keys, ...signers.keys], this.#ring);
      signed.set(role, {
        version: metadata.signed.version,
        bytes: encodeMetadata(metadata),
        oldKeysToo: isComplete(metadata, before),
      });
    }
    return signed;
  }

  #document(role: RoleName, signed: ReadonlyMap<RoleName, SignedFile>): RoleMetadata {
    const term = this.#term(role);
    switch (role) {
      case 'root':
        return rootDocument(term, (name) => this.signersOf(name));
      case 'targets':
        return targetsDocument(term, (name) => this.signersOf(name));
      case 'snapshot': {
        const meta = new Map(Object.entries(this.view.snapshot.signed.meta));
        for (const [name, file] of signed) meta.set(`${name}.json`, metaFileOf(file));
        return snapshotDocument(term, meta);
      }
      case 'timestamp': {
        const snapshot = signed.get('snapshot');
        return timestampDocument(
          term,
          snapshot === undefined ? this.view.timestamp.signed.snapshotMeta : metaFileOf(snapshot),
        );
      }
      default:
        return delegatedDocument(term, this.#targetsOf(role));
    }
  }

  #term(role: RoleName): Term {
    return {
      version: roleMetadata(this.view, role).signed.version + 1,
      now: this.#now,
      lifetime: this.#lifetimes.get(role) ?? this.#lifetimeOf(role),
    };
  }

  #lifetimeOf(role: RoleName): number {
    return lifetimeOf(roleMetadata(this.view, role)) ?? DEFAULT_LIFETIMES[role];
  }

  #targetsOf(role: DelegatedRoleName): ReadonlyMap<string, TargetFile> {
    return this.#targets.get(role) ?? new Map(Object.entries(this.view.delegated[role].signed.targets));
  }

  /** Writes files that nothing refers to yet: no sync each, one for all at the end. */
  async #writeUnreferenced(contents: ReadonlyMap<string, Uint8Array>): Promise<void> {
    if (contents.size === 0) return;
    const temporary = join(await this.staging(), 'file');
    for (const [path, bytes] of contents) {
      const file = join(this.directory, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(temporary, bytes);
      await rename(temporary, file);
    }
    syncFileSystem(this.directory);
  }

  async #makeVisible(signed: ReadonlyMap<RoleName, SignedFile>): Promise<void> {
    const timestamp = signed.get('timestamp');
    const root = signed.get('root');
    const writeTimestamp = async () => {
      if (timestamp !== undefined) await writeFileDurably(join(this.directory, TIMESTAMP_PATH), timestamp.bytes);
    };
    const writeRoot = async () => {
      if (root === undefined) return;
      await writeFileDurably(join(this.directory, metadataPath('root', root.version)), root.bytes);
    };
    // A timestamp that the old root accepts as well goes first: then no reader meets keys that do not fit. Where the old keys
    // are lost, readers are cut off for an instant in any order; root first is what readView can recover from.
    if ([...signed.values()].every((file) => file.oldKeysToo)) {
      await writeTimestamp();
      await writeRoot();
    } else {
      await writeRoot();
      await writeTimestamp();
    }
  }
}

interface SignedFile {
  readonly version: number;
  readonly bytes: Buffer;
  /** True when the keys that the role had before this revision have signed it too. */
  readonly oldKeysToo: boolean;
}
