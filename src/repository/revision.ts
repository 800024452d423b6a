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
import { OsupdError } from '../core/errors.ts';
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
import { readPending, writePending } from './pending.ts';
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
  canSignFor,
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

export interface RevisionOptions {
  readonly directory: string;
  readonly ring: KeyRing;
  readonly now: Date;
  /** Where keys are missing, keep what lacks their signatures (pending.ts) instead of failing. */
  readonly signLater?: boolean | undefined;
}

export interface Commit {
  /** Roles that have a new version. */
  readonly roles: readonly RoleName[];
  /** Roles that wait for signatures; then readers see nothing of the change yet. */
  readonly waiting: readonly RoleName[];
}

export class Revision implements Disposable {
  readonly directory: string;
  readonly view: RepositoryView;
  readonly #options: RevisionOptions;
  readonly #lock: Lock;
  /** Roles with other targets than in the view, and all of their targets. */
  readonly #targets = new Map<DelegatedRoleName, Map<string, TargetFile>>();
  /** Contents of new files by their paths. */
  readonly #contents = new Map<string, Uint8Array>();
  readonly #lifetimes = new Map<RoleName, number>();
  readonly #signers = new Map<RoleName, Signers>();
  readonly #prepared = new Map<RoleName, RoleMetadata>();

  private constructor(options: RevisionOptions, lock: Lock, view: RepositoryView) {
    this.directory = options.directory;
    this.#options = options;
    this.#lock = lock;
    this.view = view;
  }

  /**
   * Takes the repository's lock, removes what a crash left in staging, and reads the view.
   * @throws OsupdError `busy`, and what {@link readView} throws
   */
  static async begin(options: RevisionOptions): Promise<Revision> {
    const { directory } = options;
    await requireRepository(directory);
    const lock = acquireLock(join(directory, '.lock'), 'exclusive');
    try {
      await rm(join(directory, STAGING), { recursive: true, force: true });
      return new Revision(options, lock, await readView(directory));
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
   * Checks early that all keys are at hand that signing these roles takes, and that their present metadata is of such keys.
   * @throws OsupdError `not-found` that names the role and its keys; `verification-failed`
   */
  requireKeys(...roles: RoleName[]): void {
    this.#requireAnchors(roles);
    if (this.#options.signLater) return;
    for (const role of roles) requireKeys(role, this.signersOf(role), this.#options.ring);
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

  removeTarget(target: string): void {
    const role = roleOfTarget(target);
    const targets = new Map(this.#targetsOf(role));
    if (targets.delete(target)) this.#targets.set(role, targets);
  }

  /** Writes a file that targets refer to by its content; it is on disk before they are visible. */
  setFile(path: string, bytes: Uint8Array): void {
    this.#contents.set(path, bytes);
  }

  /** Signs a role again although its content stays. `lifetime`: seconds; as it was, by default. */
  renew(role: RoleName, lifetime = this.#lifetimeOf(role)): void {
    this.#lifetimes.set(role, lifetime);
  }

  /** Gives a role other keys. What it signs carries signatures of the old keys too, as far as the ring has them. */
  setSigners(role: RoleName, signers: Signers): void {
    this.#signers.set(role, signers);
  }

  /** Takes metadata that was prepared earlier, with the signatures it has, as the next version of a role. */
  adopt(role: RoleName, metadata: RoleMetadata): void {
    this.#prepared.set(role, metadata);
  }

  /**
   * Signs and writes everything that changed.
   * @throws OsupdError `not-found` for a missing key, `verification-failed` when the present metadata is not of our keys;
   *   nothing is visible to readers then
   */
  async commit(): Promise<Commit> {
    const { ring } = this.#options;
    const changed = this.#changedRoles();
    this.#requireAnchors(changed);
    const online = changed.filter(isOnline);
    const documents = new Map<RoleName, RoleMetadata>();
    for (const role of changed.filter((name) => !isOnline(name)))
      documents.set(role, await this.#sign(role, new Map()));

    const unsigned = [...documents]
      .filter(([role, metadata]) => !this.#isComplete(role, metadata))
      .map(([role]) => role);
    const waiting = [...unsigned, ...online.filter((role) => !canSignFor(this.signersOf(role), ring))];
    if (waiting.length > 0) {
      await this.#keepPending(waiting, documents);
      return { roles: [], waiting };
    }
    for (const role of online) documents.set(role, await this.#sign(role, documents));
    const files = new Map(this.#contents);
    for (const [role, metadata] of documents) {
      if (role !== 'root' && role !== 'timestamp') {
        files.set(metadataPath(role, metadata.signed.version), encodeMetadata(metadata));
      }
    }
    await this.#writeUnreferenced(files);
    await this.#makeVisible(documents);
    return { roles: changed, waiting: [] };
  }

  #requireAnchors(roles: readonly RoleName[]): void {
    const { ring } = this.#options;
    for (const role of roles) {
      if (this.signersOf(role).keys.some(({ keyId }) => ring.canSign(keyId))) requireAnchor(this.view, role, ring);
    }
  }

  /** In the order of signing: each before those that refer to it. */
  #changedRoles(): RoleName[] {
    const touched = (role: RoleName) =>
      this.#lifetimes.has(role) || this.#signers.has(role) || this.#prepared.has(role) || this.view.outdated.has(role);
    const delegated = DELEGATED_ROLES.filter((role) => this.#targets.has(role) || touched(role));
    const targets = touched('targets') || DELEGATED_ROLES.some((role) => this.#signers.has(role));
    const snapshot = delegated.length > 0 || targets || touched('snapshot');
    const timestamp = snapshot || touched('timestamp');
    const root = touched('root') || TOP_ROLES.some((role) => this.#signers.has(role));
    return [
      ...delegated,
      ...(targets ? (['targets'] as const) : []),
      ...(root ? (['root'] as const) : []),
      ...(snapshot ? (['snapshot'] as const) : []),
      ...(timestamp ? (['timestamp'] as const) : []),
    ];
  }

  /** The next version of a role, with the signatures of all of its keys at hand. `others`: new versions that it refers to. */
  async #sign(role: RoleName, others: ReadonlyMap<RoleName, RoleMetadata>): Promise<RoleMetadata> {
    const metadata = this.#prepared.get(role) ?? this.#document(role, others);
    const keys = [...signersIn(this.view, role).keys, ...this.signersOf(role).keys];
    await addSignatures(metadata, keys, this.#options.ring);
    return metadata;
  }

  #isComplete(role: RoleName, metadata: RoleMetadata): boolean {
    // A new root must be signed by the old one's threshold as well (TUF 1.0, section 6.1).
    return isComplete(metadata, this.signersOf(role)) && (role !== 'root' || this.#isGoodForOldKeys(role, metadata));
  }

  #isGoodForOldKeys(role: RoleName, metadata: RoleMetadata): boolean {
    return isComplete(metadata, signersIn(this.view, role));
  }

  #document(role: RoleName, others: ReadonlyMap<RoleName, RoleMetadata>): RoleMetadata {
    const term = this.#term(role);
    switch (role) {
      case 'root':
        return rootDocument(term, (name) => this.signersOf(name));
      case 'targets':
        return targetsDocument(term, (name) => this.signersOf(name));
      case 'snapshot': {
        const meta = new Map(Object.entries(this.view.snapshot.signed.meta));
        for (const [name, metadata] of others) {
          if (name !== 'root') meta.set(`${name}.json`, metaFileOf(metadata));
        }
        return snapshotDocument(term, meta);
      }
      case 'timestamp': {
        const snapshot = others.get('snapshot');
        const { snapshotMeta } = this.view.timestamp.signed;
        return timestampDocument(term, snapshot === undefined ? snapshotMeta : metaFileOf(snapshot));
      }
      default:
        return delegatedDocument(term, this.#targetsOf(role));
    }
  }

  #term(role: RoleName): Term {
    return {
      version: roleMetadata(this.view, role).signed.version + 1,
      now: this.#options.now,
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

  async #keepPending(waiting: readonly RoleName[], documents: ReadonlyMap<RoleName, RoleMetadata>): Promise<void> {
    this.requireKeys(...waiting);
    if (!this.#options.signLater) requireKeys('root', signersIn(this.view, 'root'), this.#options.ring);
    if (this.#prepared.size === 0 && (await readPending(this.directory)).size > 0) {
      throw new OsupdError('busy', 'another change waits for signatures already', {
        where: this.directory,
        remedy: 'finish it with osupd repo sign, or drop it with osupd repo sign --discard',
      });
    }
    await this.#writeUnreferenced(this.#contents);
    await writePending(this.directory, documents);
  }

  async #makeVisible(documents: ReadonlyMap<RoleName, RoleMetadata>): Promise<void> {
    const write = async (role: RoleName, pathOf: (version: number) => string) => {
      const metadata = documents.get(role);
      if (metadata === undefined) return;
      await writeFileDurably(join(this.directory, pathOf(metadata.signed.version)), encodeMetadata(metadata));
    };
    const writeTimestamp = () => write('timestamp', () => TIMESTAMP_PATH);
    const writeRoot = () => write('root', (version) => metadataPath('root', version));
    // A timestamp that the old root accepts as well goes first: then no reader meets keys that do not fit. Where the old keys
    // are lost, readers are cut off for an instant in any order; root first is what readView can recover from.
    if ([...documents].every(([role, metadata]) => this.#isGoodForOldKeys(role, metadata))) {
      await writeTimestamp();
      await writeRoot();
    } else {
      await writeRoot();
      await writeTimestamp();
    }
  }
}

/** True for the roles whose metadata refers to the files of others, and so can only be signed when those are complete. */
function isOnline(role: RoleName): boolean {
  return role === 'snapshot' || role === 'timestamp';
}
