import { execFileSync } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import { chmodSync, copyFileSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ProgressEvent } from '../../src/core/progress.ts';
import {
  encodeKeyFile,
  generateKey,
  parseKeyFile,
  parsePublicKey,
  publicKeyFile,
  publicKeyPem,
} from '../../src/repository/key-file.ts';
import { KeyRing } from '../../src/repository/key-ring.ts';
import { itWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { seededRandom } from './fixture.ts';

const base = temporaryDirectory();
const MESSAGE = Buffer.from('what is signed');
let count = 0;
const newDirectory = () => join(base, `keys-${count++}`);

function isGood(publicKey: string, signature: Uint8Array): boolean {
  return verify(null, MESSAGE, createPublicKey(publicKeyPem(publicKey)), signature);
}

describe('a key', () => {
  it('has the id that other TUF implementations give it', () => {
    // A key of go-tuf's test repository.
    const key = publicKeyFile(['root'], '4e10fe156f07e6f6e1f6fb1579105b7d3e62790b6a62dbf7727b91f82d2bc9db');
    expect(key.keyId).toBe('0a5842e65e9c8c428354f40708435de6793ac379a275effe40d6358be2de835c');
  });

  it('is the same for the same random bytes', () => {
    const make = () => generateKey(['root'], seededRandom('a'));
    expect(encodeKeyFile(make())).toEqual(encodeKeyFile(make()));
    expect(generateKey(['root'], seededRandom('b')).keyId).not.toBe(make().keyId);
  });

  it('comes back from its file', () => {
    for (const passphrase of [undefined, 'secret']) {
      const key = generateKey(['root', 'targets'], seededRandom('a'), passphrase);
      expect(parseKeyFile(encodeKeyFile(key), 'x')).toEqual(key);
    }
  });

  it('is read from PEM or hexadecimal digits', () => {
    const { public: hex } = generateKey(['root'], seededRandom('a'));
    expect(parsePublicKey(`${hex.toUpperCase()}\n`, 'x')).toBe(hex);
    expect(parsePublicKey(publicKeyPem(hex), 'x')).toBe(hex);
    expect(() => parsePublicKey('rubbish', 'x')).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  it.each([
    ['keyId', 'a'.repeat(64)],
    ['roles', ['king']],
    ['public', 'zz'],
    ['command', []],
    ['command', ['true']],
    ['schema', 'osupd-key/2'],
  ])('with a wrong field %s is refused', (field, value) => {
    const key = { ...generateKey(['root'], seededRandom('a')), [field]: value };
    expect(() => parseKeyFile(Buffer.from(JSON.stringify(key)), 'x')).toThrow(
      expect.objectContaining({ code: 'usage' }),
    );
  });
});

describe('a key directory', () => {
  it('keeps private keys from other users', async () => {
    const directory = newDirectory();
    const ring = await KeyRing.open(directory);
    const file = await ring.add(generateKey(['root'], seededRandom('a')));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    chmodSync(file, 0o644);
    const events: ProgressEvent[] = [];
    await KeyRing.open(directory, { progress: (event) => events.push(event) });
    expect(events).toEqual([{ kind: 'note', text: expect.stringContaining('chmod 600') }]);
  });

  it('signs with a private key', async () => {
    const ring = await KeyRing.open(newDirectory());
    const key = generateKey(['root'], seededRandom('a'));
    await ring.add(key);
    expect(isGood(key.public, await ring.sign(key.keyId, MESSAGE))).toBe(true);
  });

  it('signs with an encrypted key and its passphrase, which is asked for once', async () => {
    const directory = newDirectory();
    const key = generateKey(['root'], seededRandom('a'), 'päss');
    await (await KeyRing.open(directory)).add(key);
    let asked = 0;
    const passphrase = async () => {
      asked++;
      return 'päss';
    };
    const ring = await KeyRing.open(directory, { passphrase });
    expect(isGood(key.public, await ring.sign(key.keyId, MESSAGE))).toBe(true);
    expect(isGood(key.public, await ring.sign(key.keyId, MESSAGE))).toBe(true);
    expect(asked).toBe(1);
  });

  it('refuses to sign with a wrong passphrase, without one, and with a public half', async () => {
    const directory = newDirectory();
    const key = generateKey(['root'], seededRandom('a'), 'right');
    const half = publicKeyFile(['root'], generateKey(['root'], seededRandom('b')).public);
    const empty = await KeyRing.open(directory);
    await empty.add(key);
    await empty.add(half);
    const wrong = await KeyRing.open(directory, { passphrase: async () => 'wrong' });
    await expect(wrong.sign(key.keyId, MESSAGE)).rejects.toMatchObject({ code: 'usage', message: /wrong/ });
    await expect(empty.sign(key.keyId, MESSAGE)).rejects.toMatchObject({ code: 'usage', remedy: /--passphrase-file/ });
    await expect(empty.sign(half.keyId, MESSAGE)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('refuses a file that is no key, and the same key twice', async () => {
    const directory = newDirectory();
    const file = await (await KeyRing.open(directory)).add(generateKey(['root'], seededRandom('a')));
    copyFileSync(file, join(directory, 'copy.json'));
    await expect(KeyRing.open(directory)).rejects.toMatchObject({ code: 'usage', where: file });
    writeFileSync(join(directory, 'copy.json'), '{}');
    await expect(KeyRing.open(directory)).rejects.toMatchObject({ code: 'usage', where: join(directory, 'copy.json') });
  });

  itWith(['openssl'], 'has keys that OpenSSL reads, encrypted or not', () => {
    for (const passphrase of [undefined, 'secret words']) {
      const key = generateKey(['root'], seededRandom('a'), passphrase);
      const file = join(base, 'key.pem');
      writeFileSync(file, key.private ?? '');
      const password = passphrase === undefined ? [] : ['-passin', `pass:${passphrase}`];
      const pem = execFileSync('openssl', ['pkey', '-in', file, '-pubout', ...password], { encoding: 'utf8' });
      expect(parsePublicKey(pem, 'openssl')).toBe(key.public);
    }
  });
});

describe('a signing command', () => {
  /** A ring with the command `sh -c SCRIPT`, for the key of `seed`. */
  async function ringWith(script: string) {
    const directory = newDirectory();
    const ring = await KeyRing.open(directory);
    const key = generateKey(['root'], seededRandom('a'));
    await ring.add({ ...publicKeyFile(['root'], key.public), command: ['sh', '-c', script] });
    writeFileSync(join(directory, 'private.pem'), key.private ?? '');
    return { ring, key };
  }

  itWith(['openssl'], 'signs in its own way, in the directory of the key', async () => {
    const raw = 'cat > message && openssl pkeyutl -sign -inkey private.pem -rawin -in message';
    for (const script of [raw, `${raw} | od -An -v -tx1 | tr -d " \\n"`]) {
      const { ring, key } = await ringWith(script);
      expect(isGood(key.public, await ring.sign(key.keyId, MESSAGE))).toBe(true);
    }
  });

  it.each([
    ['exit 3', 'status 3'],
    ['kill -9 $$', 'SIGKILL'],
    ['echo hello', 'no signature'],
    ['yes', 'more than a signature'],
  ])('that does "%s" is an error that says so', async (script, why) => {
    const { ring, key } = await ringWith(script);
    await expect(ring.sign(key.keyId, MESSAGE)).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining(why),
    });
  });

  it('that gives a signature of another key is not believed', async () => {
    const { ring, key } = await ringWith('cat >/dev/null; head -c 64 /dev/zero');
    await expect(ring.sign(key.keyId, MESSAGE)).rejects.toMatchObject({ code: 'verification-failed' });
  });

  it('that does not exist is an error that names it', async () => {
    const ring = await KeyRing.open(newDirectory());
    const key = publicKeyFile(['root'], generateKey(['root'], seededRandom('a')).public);
    await ring.add({ ...key, command: ['./no-such-program'] });
    await expect(ring.sign(key.keyId, MESSAGE)).rejects.toMatchObject({ code: 'io', message: /no-such-program/ });
    expect(readdirSync(ring.directory)).toHaveLength(1);
    expect(readFileSync(join(ring.directory, readdirSync(ring.directory)[0] ?? ''), 'utf8')).toContain(
      'no-such-program',
    );
  });
});
