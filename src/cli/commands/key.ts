/** `osupd key …`: the key files that sign a repository (docs/keys.md). */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { isSystemError, OsupdError } from '../../core/errors.ts';
import type { KeyFile } from '../../repository/key-file.ts';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';
import {
  type KeyOptions,
  keysOption,
  openRing,
  passphraseOption,
  readPassphrase,
  several,
} from '../repository-options.ts';

interface RoleKeyOptions extends KeyOptions {
  readonly role: string[];
}

export function register(program: Command, context: CliContext): void {
  const group = program.command('key').description('make and list the keys that sign a repository');
  registerGenerate(group, context);
  registerAdd(group, context);
  registerList(group, context);
  registerExport(group, context);
}

function registerGenerate(group: Command, context: CliContext): void {
  group
    .command('generate')
    .description('make an ed25519 key, encrypted when there is a passphrase')
    .addOption(keysOption())
    .requiredOption('--role <role>', 'what the key is for; repeatable', several)
    .addOption(passphraseOption())
    .addHelpText('after', '\nExample:\n  osupd key generate --keys ./offline --role root --passphrase-file ./secret')
    .action(async (options: RoleKeyOptions, command: Command) => {
      const { generateKey } = await import('../../repository/key-file.ts');
      const { checkRole } = await import('../../repository/roles.ts');
      const output = outputOf(command, context);
      const ring = await openRing(options, context, output);
      const key = generateKey(options.role.map(checkRole), randomBytes, await readPassphrase(options, context));
      const file = await ring.add(key);
      output.result({ file, ...publicPart(key) }, `${file}\n${describe(key)}`);
    });
}

function registerAdd(group: Command, context: CliContext): void {
  group
    .command('add')
    .description('add a public key, and the command that signs with it (an HSM, a KMS)')
    .argument('<public-key>', 'PEM file, 64 hexadecimal digits, or a key file that was exported')
    .argument('[command...]', 'reads the bytes to sign on standard input, writes the signature; after --')
    .addOption(keysOption())
    .requiredOption('--role <role>', 'what the key is for; repeatable', several)
    .addHelpText(
      'after',
      '\nExample:\n  osupd key add release.pem --keys ./keys --role releases -- ./sign-with-hsm --slot 1',
    )
    .action(async (given: string, words: string[], options: RoleKeyOptions, command: Command) => {
      const { publicKeyFile } = await import('../../repository/key-file.ts');
      const { checkRole } = await import('../../repository/roles.ts');
      const output = outputOf(command, context);
      const ring = await openRing(options, context, output);
      const publicKey = await readPublicKey(resolve(context.workingDirectory, given), given);
      const half = publicKeyFile(options.role.map(checkRole), publicKey);
      const key = words.length === 0 ? half : { ...half, command: words };
      const file = await ring.add(key);
      output.result({ file, ...publicPart(key) }, `${file}\n${describe(key)}`);
    });
}

function registerList(group: Command, context: CliContext): void {
  group
    .command('list')
    .description('list the keys of a directory: id, roles, how they sign')
    .addOption(keysOption())
    .addHelpText('after', '\nExample:\n  osupd key list --keys ./keys')
    .action(async (options: KeyOptions, command: Command) => {
      const output = outputOf(command, context);
      const { directory, keys } = await openRing(options, context, output);
      if (keys.length === 0) {
        throw new OsupdError('not-found', 'there is no key', {
          where: directory,
          remedy: 'make some: osupd repo init',
        });
      }
      output.result({ keys: keys.map(publicPart) }, () => keys.map(describe).join('\n'));
    });
}

function registerExport(group: Command, context: CliContext): void {
  group
    .command('export')
    .description('print the public half of a key as PEM')
    .argument('<id>', 'key id, or its first 8 digits or more')
    .addOption(keysOption())
    .addHelpText('after', '\nExample:\n  osupd key export 1f2e3d4c --keys ./keys > root.pem')
    .action(async (id: string, options: KeyOptions, command: Command) => {
      const { publicKeyPem } = await import('../../repository/key-file.ts');
      const output = outputOf(command, context);
      const ring = await openRing(options, context, output);
      const [key, other] = ring.keys.filter((each) => each.keyId.startsWith(id));
      if (key === undefined || other !== undefined || id.length < 8) {
        throw new OsupdError('not-found', `there is no key ${id}`, {
          where: ring.directory,
          remedy: 'osupd key list shows the ids; give 8 digits or more',
        });
      }
      const pem = publicKeyPem(key.public);
      output.result({ ...publicPart(key), pem }, pem);
    });
}

async function readPublicKey(path: string, given: string): Promise<string> {
  const { parseKeyFile, parsePublicKey } = await import('../../repository/key-file.ts');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
    return parsePublicKey(given, given);
  }
  return text.trimStart().startsWith('{') ? parseKeyFile(Buffer.from(text), path).public : parsePublicKey(text, path);
}

type Signer = 'private-key' | 'encrypted-private-key' | 'command' | 'none';

/** What may be shown of a key. */
function publicPart(key: KeyFile): Pick<KeyFile, 'keyId' | 'roles' | 'public'> & { signsBy: Signer } {
  return { keyId: key.keyId, roles: key.roles, public: key.public, signsBy: signerOf(key) };
}

function signerOf(key: KeyFile): Signer {
  if (key.command !== undefined) return 'command';
  if (key.private === undefined) return 'none';
  return key.private.includes('ENCRYPTED') ? 'encrypted-private-key' : 'private-key';
}

function describe(key: KeyFile): string {
  const by = {
    'private-key': 'private key',
    'encrypted-private-key': 'encrypted private key',
    none: 'public half only',
  };
  const signer = signerOf(key);
  const how = signer === 'command' ? `command ${key.command?.[0]}` : by[signer];
  return `${key.keyId.slice(0, 16)}  ${key.roles.join(',').padEnd(10)}  ${how}`;
}
