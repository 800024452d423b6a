/** A small signed TUF repository in memory, made with the models alone; it can be signed wrongly on purpose. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { Metadata, type MetadataKind, Signature } from '@tufjs/models';

const SPEC = '1.0.31';
const DELEGATED = ['releases', 'channels', 'deltas'];
const TOP = ['root', 'targets', 'snapshot', 'timestamp'];

export interface RoleKey {
  readonly id: string;
  readonly json: object;
  readonly secret: KeyObject;
}

export function newKey(): RoleKey {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');
  const json = { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: raw } };
  return { id: createHash('sha256').update(raw).digest('hex'), json, secret: privateKey };
}

type Kind = 'root' | 'targets' | 'snapshot' | 'timestamp';

/** Each role's version and expiry can be set before {@link TufRepository.publish}. */
export class TufRepository {
  /** What a server has: paths to bytes. */
  readonly files = new Map<string, Buffer>();
  readonly keys = new Map<string, RoleKey>();
  readonly versions = new Map<string, number>();
  readonly expires = new Map<string, string>();
  readonly targets = new Map<string, Buffer>();

  constructor() {
    for (const role of [...TOP, ...DELEGATED]) {
      this.keys.set(role, newKey());
      this.versions.set(role, 1);
    }
    this.publish();
  }

  /** The root that a device pins. */
  get root(): Buffer {
    return this.files.get('metadata/1.root.json')!;
  }

  bump(...roles: string[]): void {
    for (const role of roles) this.versions.set(role, (this.versions.get(role) ?? 0) + 1);
  }

  /** Signs everything with the present versions, expiries and targets. */
  publish(): void {
    for (const [name, content] of this.targets) {
      const at = name.lastIndexOf('/') + 1;
      this.files.set(`targets/${name.slice(0, at)}${sha256(content)}.${name.slice(at)}`, content);
    }
    this.write('root', 'root', {
      consistent_snapshot: true,
      keys: this.keysOf(TOP),
      roles: Object.fromEntries(TOP.map((role) => [role, this.roleOf(role)])),
    });
    const metas: Record<string, object> = {};
    for (const role of DELEGATED) {
      const own = [...this.targets].filter(([name]) => name.startsWith(`${role}/`));
      const targets = own.map(([name, content]) => [
        name,
        { length: content.length, hashes: { sha256: sha256(content) } },
      ]);
      metas[`${role}.json`] = this.metaOf(role, this.write(role, 'targets', { targets: Object.fromEntries(targets) }));
    }
    const delegations = {
      keys: this.keysOf(DELEGATED),
      roles: DELEGATED.map((role) => ({
        name: role,
        ...this.roleOf(role),
        terminating: true,
        paths: [`${role}/*.json`, `${role}/*/*.json`],
      })),
    };
    metas['targets.json'] = this.metaOf('targets', this.write('targets', 'targets', { targets: {}, delegations }));
    const snapshot = this.write('snapshot', 'snapshot', { meta: metas });
    this.write('timestamp', 'timestamp', { meta: { 'snapshot.json': this.metaOf('snapshot', snapshot) } });
  }

  /** Signs a role's content with a key (its own by default) and puts it where the server has it. */
  write(role: string, kind: Kind, content: object, key = this.keys.get(role)!): Buffer {
    const version = this.versions.get(role)!;
    const expires = this.expires.get(role) ?? '2040-01-01T00:00:00Z';
    const signed = { _type: kind, spec_version: SPEC, version, expires, ...content };
    const metadata = Metadata.fromJSON(kind as MetadataKind.Targets, { signed, signatures: [] } as never);
    metadata.sign((data) => new Signature({ keyID: key.id, sig: sign(null, data, key.secret).toString('hex') }));
    const bytes = Buffer.from(JSON.stringify(metadata.toJSON()));
    this.files.set(role === 'timestamp' ? 'metadata/timestamp.json' : `metadata/${version}.${role}.json`, bytes);
    return bytes;
  }

  keysOf(roles: readonly string[]): object {
    return Object.fromEntries(roles.map((role) => [this.keys.get(role)!.id, this.keys.get(role)!.json]));
  }

  roleOf(role: string): { keyids: string[]; threshold: number } {
    return { keyids: [this.keys.get(role)!.id], threshold: 1 };
  }

  metaOf(role: string, bytes: Buffer): object {
    return { version: this.versions.get(role), length: bytes.length, hashes: { sha256: sha256(bytes) } };
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
