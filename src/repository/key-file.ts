/** One signing key as a file of a key directory: its format, and how a new one is made (docs/keys.md). */

import { createPrivateKey, createPublicKey } from 'node:crypto';
import { Key } from '@tufjs/models';
import { OsupdError } from '../core/errors.ts';
import { sha256Of } from '../core/sha256.ts';
import { encryptPrivateKey, pem } from './encrypted-key.ts';
import { encodeDocument, parseDocument } from './json-fields.ts';
import { isRole, ROLES, type RoleName } from './roles.ts';

/** Gives so many random bytes. */
export type RandomBytes = (size: number) => Uint8Array;

/**
 * A key file holds an ed25519 public key, and at most one way to sign: the private key, or a command that reads the bytes to sign
 * on standard input and writes the signature (64 bytes, or 128 hexadecimal digits) on standard output.
 */
export interface KeyFile {
  readonly schema: 'osupd-key/1';
  /** SHA-256 (hex) of the canonical JSON of the key as TUF has it. */
  readonly keyId: string;
  /** Roles that `repo init` and `repo rotate` use the key for. */
  readonly roles: readonly RoleName[];
  /** 32 bytes, hexadecimal. */
  readonly public: string;
  /** PKCS #8 PEM, encrypted or not. */
  readonly private?: string;
  /** Program and arguments; it runs in the directory of the key file. */
  readonly command?: readonly string[];
}

const FIELDS = ['schema', 'critical', 'keyId', 'roles', 'public', 'private', 'command'];

/** DER before the 32 bytes of an ed25519 private key (RFC 8410, section 7) and public key (section 4). */
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/**
 * Makes a new ed25519 key.
 * @param passphrase encrypts the private key; without it, it is in the clear
 */
export function generateKey(roles: readonly RoleName[], random: RandomBytes, passphrase?: string): KeyFile {
  const der = Buffer.concat([PRIVATE_PREFIX, random(32)]);
  const spki = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })).export({
    format: 'der',
    type: 'spki',
  });
  return {
    ...publicKeyFile(roles, spki.subarray(-32).toString('hex')),
    private: passphrase === undefined ? pem('PRIVATE KEY', der) : encryptPrivateKey(der, passphrase, random),
  };
}

/** A key file without a way to sign. `publicKey`: 32 bytes, hexadecimal. */
export function publicKeyFile(roles: readonly RoleName[], publicKey: string): KeyFile {
  return { schema: 'osupd-key/1', keyId: keyIdOf(publicKey), roles, public: publicKey };
}

/**
 * Parses a key file.
 * @throws OsupdError `usage`
 */
export function parseKeyFile(bytes: Uint8Array, where: string): KeyFile {
  const fields = parseDocument(
    bytes,
    'osupd-key/1',
    FIELDS,
    (what) => new OsupdError('usage', `not a valid key file: ${what}`, { where }),
  );
  const publicKey = fields.sha256('public');
  const key: KeyFile = {
    schema: 'osupd-key/1',
    keyId: fields.string('keyId', (text) => text === keyIdOf(publicKey)),
    roles: fields.strings('roles', ROLES.length).map((role) => {
      if (!isRole(role)) throw fields.bad('roles', `has ${JSON.stringify(role.slice(0, 80))}, which is no role`);
      return role;
    }),
    public: publicKey,
    ...(fields.has('private') ? { private: fields.string('private') } : {}),
    ...(fields.has('command') ? { command: fields.strings('command', 1000) } : {}),
  };
  if (key.private !== undefined && key.command !== undefined) {
    throw fields.bad('command', 'stands beside "private"; a key has one way to sign');
  }
  if (key.command?.length === 0) throw fields.bad('command', 'is empty');
  return key;
}

/** The bytes of a key file. */
export function encodeKeyFile(key: KeyFile): Buffer {
  return encodeDocument(key);
}

/** The usual name of a key's file: its first role and the start of its id. */
export function keyFileName(key: KeyFile): string {
  return `${key.roles[0] ?? 'key'}-${key.keyId.slice(0, 8)}.json`;
}

export function isEncrypted(key: KeyFile): boolean {
  return key.private?.includes('-----BEGIN ENCRYPTED PRIVATE KEY-----') ?? false;
}

/** The key as TUF metadata has it. */
export function tufKey(key: Pick<KeyFile, 'keyId' | 'public'>): Key {
  return new Key({ keyID: key.keyId, keyType: 'ed25519', scheme: 'ed25519', keyVal: { public: key.public } });
}

/** The public key as SubjectPublicKeyInfo PEM. */
export function publicKeyPem(publicKey: string): string {
  return pem('PUBLIC KEY', Buffer.concat([PUBLIC_PREFIX, Buffer.from(publicKey, 'hex')]));
}

/**
 * The 32 bytes (hexadecimal) of a public key given as PEM or as 64 hexadecimal digits.
 * @throws OsupdError `usage`
 */
export function parsePublicKey(text: string, where: string): string {
  const hex = text.trim().toLowerCase();
  if (/^[0-9a-f]{64}$/.test(hex)) return hex;
  try {
    const key = createPublicKey(text);
    if (key.asymmetricKeyType === 'ed25519') {
      return key.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');
    }
  } catch (cause) {
    throw new OsupdError('usage', 'neither a PEM public key nor 64 hexadecimal digits', { where, cause });
  }
  throw new OsupdError('usage', 'not an ed25519 key', { where });
}

function keyIdOf(publicKey: string): string {
  // Canonical JSON: names in order, no spaces.
  const key = `{"keytype":"ed25519","keyval":{"public":"${publicKey}"},"scheme":"ed25519"}`;
  return sha256Of(key);
}
