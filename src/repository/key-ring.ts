/** The keys of one key directory, and signing with them. */

import { spawn } from 'node:child_process';
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError, OsupdError } from '../core/errors.ts';
import { noProgress, type Progress } from '../core/progress.ts';
import { writeFileDurably } from '../sys/durable.ts';
import { encodeKeyFile, isEncrypted, type KeyFile, keyFileName, parseKeyFile, publicKeyPem } from './key-file.ts';
import { listNames } from './list-names.ts';
import type { RoleName } from './roles.ts';

export interface KeyRingOptions {
  /** Asked once for each encrypted key that has to sign; undefined when there is none. `file`: the key file's path. */
  readonly passphrase?: (file: string) => Promise<string | undefined>;
  readonly progress?: Progress;
}

interface RingKey {
  readonly file: string;
  readonly key: KeyFile;
}

/** Longest output of a signing command that is read: a signature in hexadecimal with room for line ends. */
const MAX_SIGNATURE_OUTPUT = 1024;

export class KeyRing {
  readonly directory: string;
  readonly #keys: RingKey[];
  readonly #options: KeyRingOptions;
  readonly #opened = new Map<string, KeyObject>();

  private constructor(directory: string, keys: RingKey[], options: KeyRingOptions) {
    this.directory = directory;
    this.#keys = keys;
    this.#options = options;
  }

  /**
   * Reads all key files (`*.json`) of a directory; a directory that does not exist is an empty ring.
   * @throws OsupdError `usage` for a file that is no key
   */
  static async open(directory: string, options: KeyRingOptions = {}): Promise<KeyRing> {
    const keys: RingKey[] = [];
    for (const name of await listNames(directory)) {
      if (name.startsWith('.') || !name.endsWith('.json')) continue;
      const file = join(directory, name);
      const key = parseKeyFile(await readFile(file), file);
      if (keys.some((other) => other.key.keyId === key.keyId)) {
        throw new OsupdError('usage', 'the same key is in two files', { where: file, remedy: 'remove one of them' });
      }
      const exposed = key.private !== undefined && !isEncrypted(key) && ((await stat(file)).mode & 0o077) !== 0;
      if (exposed) {
        (options.progress ?? noProgress)({
          kind: 'note',
          text: `${file}: other users may read this private key; chmod 600 it`,
        });
      }
      keys.push({ file, key });
    }
    return new KeyRing(directory, keys, options);
  }

  /** A ring without keys, for what signs nothing. */
  static empty(): KeyRing {
    return new KeyRing('', [], {});
  }

  /** All keys, by file name. */
  get keys(): readonly KeyFile[] {
    return this.#keys.map(({ key }) => key);
  }

  /** Keys whose file names the role. */
  forRole(role: RoleName): KeyFile[] {
    return this.keys.filter((key) => key.roles.includes(role));
  }

  find(keyId: string): KeyFile | undefined {
    return this.keys.find((key) => key.keyId === keyId);
  }

  /** True when the ring can sign with the key. */
  canSign(keyId: string): boolean {
    const key = this.find(keyId);
    return key?.private !== undefined || key?.command !== undefined;
  }

  /**
   * Writes a new key file, mode 0600, and takes it into the ring. Returns its path.
   * @throws OsupdError `usage` when the ring has the key
   */
  async add(key: KeyFile): Promise<string> {
    const known = this.#keys.find((other) => other.key.keyId === key.keyId);
    if (known !== undefined) throw new OsupdError('usage', 'this key is there already', { where: known.file });
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const file = join(this.directory, keyFileName(key));
    await writeFileDurably(file, encodeKeyFile(key), 0o600);
    this.#keys.push({ file, key });
    return file;
  }

  /**
   * Signs with one key.
   * @returns 64 bytes, checked against the public key
   * @throws OsupdError `not-found` when the ring cannot sign with it, `usage` for a wrong passphrase, `io` when a command fails,
   *   `verification-failed` for a signature that is not of this key
   */
  async sign(keyId: string, bytes: Uint8Array): Promise<Buffer> {
    const entry = this.#keys.find(({ key }) => key.keyId === keyId);
    if (entry === undefined || !this.canSign(keyId)) {
      throw new OsupdError('not-found', `no private key for ${keyId}`, { where: this.directory });
    }
    const { file, key } = entry;
    const signature =
      key.command === undefined
        ? sign(null, bytes, await this.#privateKey(file, key))
        : await runCommand(key.command, this.directory, bytes, file);
    if (!verify(null, bytes, createPublicKey(publicKeyPem(key.public)), signature)) {
      throw new OsupdError('verification-failed', "the signature does not fit the file's public key", { where: file });
    }
    return signature;
  }

  async #privateKey(file: string, key: KeyFile): Promise<KeyObject> {
    const opened = this.#opened.get(key.keyId);
    if (opened !== undefined) return opened;
    const passphrase = isEncrypted(key) ? await this.#options.passphrase?.(file) : undefined;
    if (isEncrypted(key) && passphrase === undefined) {
      throw new OsupdError('usage', 'this key needs its passphrase', {
        where: file,
        remedy: 'give --passphrase-file FILE or set OSUPD_PASSPHRASE',
      });
    }
    try {
      const made = createPrivateKey({ key: key.private ?? '', ...(passphrase === undefined ? {} : { passphrase }) });
      this.#opened.set(key.keyId, made);
      return made;
    } catch (cause) {
      const why = passphrase === undefined ? 'the private key cannot be read' : 'the passphrase is wrong';
      throw new OsupdError('usage', why, { where: file, cause });
    }
  }
}

/** Runs a signing command: bytes on its standard input, signature on its standard output; its messages pass through. */
function runCommand(command: readonly string[], directory: string, bytes: Uint8Array, file: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const failed = (why: string, cause?: unknown) =>
      reject(new OsupdError('io', `the signing command ${command[0]} ${why}`, { where: file, cause }));
    const child = spawn(command[0] ?? '', command.slice(1), { cwd: directory, stdio: ['pipe', 'pipe', 'inherit'] });
    const parts: Buffer[] = [];
    let total = 0;
    child.stdout.on('data', (part: Buffer) => {
      total += part.length;
      if (total <= MAX_SIGNATURE_OUTPUT) {
        parts.push(part);
        return;
      }
      child.kill();
      // What the command started may still write: its end of the pipe must not be waited for.
      child.stdout.destroy();
    });
    child.on('error', (cause) => failed(`could not be run: ${cause.message}`, cause));
    child.on('close', (status, signal) => {
      if (total > MAX_SIGNATURE_OUTPUT) return failed('wrote more than a signature');
      if (status !== 0) return failed(`ended with ${signal ?? `status ${status}`}`);
      const output = Buffer.concat(parts);
      const text = output.toString('latin1').trim();
      if (output.length === 64) return resolve(output);
      if (/^[0-9a-fA-F]{128}$/.test(text)) return resolve(Buffer.from(text, 'hex'));
      failed(`wrote ${output.length} bytes, which are no signature`);
    });
    // A command that does not read all of its input shows in its status or signature.
    child.stdin.on('error', (error) => {
      if (!isSystemError(error, 'EPIPE')) failed(`could not be written to: ${error.message}`, error);
    });
    child.stdin.end(bytes);
  });
}
