/**
 * Private keys under a passphrase, as PKCS #8 EncryptedPrivateKeyInfo: PBES2 (RFC 8018) with scrypt (RFC 7914) and AES-256-CBC, so
 * that `openssl pkey` and node:crypto read them. node:crypto can only write PBKDF2 with few rounds, so this writes them itself.
 */
import { createCipheriv, scryptSync } from 'node:crypto';
import type { RandomBytes } from './key-file.ts';

/** scrypt work: 16 MiB of memory five times over. OpenSSL refuses to read a key that needs 32 MiB or more. */
const COST = { N: 2 ** 14, r: 8, p: 5 };

const OID_PBES2 = Buffer.from('06092a864886f70d01050d', 'hex');
const OID_SCRYPT = Buffer.from('06092b06010401da47040b', 'hex');
const OID_AES_256_CBC = Buffer.from('060960864801650304012a', 'hex');

/**
 * Encrypts a private key.
 * @param pkcs8 PrivateKeyInfo, DER
 * @returns PEM, `-----BEGIN ENCRYPTED PRIVATE KEY-----`
 */
export function encryptPrivateKey(pkcs8: Uint8Array, passphrase: string, random: RandomBytes): string {
  const salt = random(16);
  const iv = random(16);
  const key = scryptSync(Buffer.from(passphrase, 'utf8'), salt, 32, COST);
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  const encrypted = Buffer.concat([cipher.update(pkcs8), cipher.final()]);
  const scrypt = sequence(OID_SCRYPT, sequence(octets(salt), integer(COST.N), integer(COST.r), integer(COST.p)));
  const algorithm = sequence(OID_PBES2, sequence(scrypt, sequence(OID_AES_256_CBC, octets(iv))));
  return pem('ENCRYPTED PRIVATE KEY', sequence(algorithm, octets(encrypted)));
}

/** PEM (RFC 7468) of some DER. */
export function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** One DER value; everything here is shorter than 256 bytes. */
function der(tag: number, content: Uint8Array): Buffer {
  const length = content.length < 128 ? [content.length] : [0x81, content.length];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

function sequence(...parts: Uint8Array[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function octets(bytes: Uint8Array): Buffer {
  return der(0x04, bytes);
}

/** A positive number of at most 31 bits. */
function integer(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32BE(value, 1);
  // Shortest form, with a zero in front where the first bit would make it negative.
  let at = 0;
  while (at < 4 && bytes[at] === 0 && (bytes[at + 1] ?? 0) < 0x80) at++;
  return der(0x02, bytes.subarray(at));
}
