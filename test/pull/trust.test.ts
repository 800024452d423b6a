import { mkdirSync, mkdtempSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OsupdError } from '../../src/core/errors.ts';
import { openTrust, type Trust } from '../../src/pull/trust.ts';
import { FileSource } from '../../src/transport/file.ts';
import type { Source } from '../../src/transport/source.ts';
import { MemorySource } from '../helpers/memory-source.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { newKey, TufRepository } from '../helpers/tuf-repository.ts';

const GOLDEN = join(import.meta.dirname, '../golden/tuf');
const temporary = temporaryDirectory();

/** A trust directory with a pinned root. */
function pin(root: Buffer): string {
  const directory = mkdtempSync(join(temporary, 'trust-'));
  writeFileSync(join(directory, 'root.json'), root);
  return directory;
}

async function withTrust<T>(directory: string, source: Source, use: (trust: Trust) => Promise<T>): Promise<T> {
  const trust = await openTrust({ directory, source });
  try {
    return await use(trust);
  } finally {
    trust.close();
  }
}

async function refused(directory: string, source: Source, target = 'channels/stable.json'): Promise<OsupdError> {
  try {
    await withTrust(directory, source, (trust) => trust.target(target));
  } catch (error) {
    if (error instanceof OsupdError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

const versionOf = (directory: string, role: string): number =>
  JSON.parse(readFileSync(join(directory, `${role}.json`), 'utf8')).signed.version;

const at = (time: string) => vi.useFakeTimers({ toFake: ['Date'], now: new Date(time) });
afterEach(() => vi.useRealTimers());

describe('repositories of other implementations', () => {
  const read = (...path: string[]) => readFileSync(join(GOLDEN, ...path));
  const text = (...path: string[]) =>
    read(...path)
      .toString()
      .trim();

  it('tuf-on-ci: the target of a delegated role is fetched, and later refused as expired', async () => {
    const source = new FileSource(join(GOLDEN, 'tuf-on-ci'));
    const directory = pin(read('tuf-on-ci/initial_root.json'));
    const target = text('tuf-on-ci/targetpath');
    at(text('tuf-on-ci/faketime'));
    const content = await withTrust(directory, source, (trust) => trust.target(target));
    expect(content?.toString()).toContain('artifact for tuf-on-ci repository');
    at('2044-08-11T00:00:00Z');
    expect(await refused(directory, source, target)).toMatchObject({
      code: 'verification-failed',
      facts: { reason: 'expired' },
    });
  });

  it('python-tuf: targets without consistent snapshots, over two levels of delegation', async () => {
    const source = new FileSource(join(GOLDEN, 'python-tuf'));
    const directory = pin(read('python-tuf/metadata/1.root.json'));
    at('2029-01-01T00:00:00Z');
    for (const name of ['file1.txt', 'file2.txt', 'file3.txt']) {
      const content = await withTrust(directory, source, (trust) => trust.target(name));
      expect(content).toEqual(read('python-tuf/targets', name));
    }
    at('2030-01-01T00:00:00Z');
    expect(await refused(directory, source, 'file1.txt')).toMatchObject({ facts: { reason: 'expired' } });
  });

  it('go-tuf: RSA signatures', async () => {
    // The example repository names its files without the versions that its root promises.
    const files = new Map<string, Buffer>();
    for (const role of ['snapshot', 'targets', 'role1', 'role2']) {
      files.set(`metadata/1.${role}.json`, read('go-tuf/metadata', `${role}.json`));
    }
    files.set('metadata/timestamp.json', read('go-tuf/metadata/timestamp.json'));
    const targets = JSON.parse(text('go-tuf/metadata/targets.json')).signed.targets;
    for (const [name, { hashes }] of Object.entries<{ hashes: Record<string, string> }>(targets)) {
      for (const hash of Object.values(hashes)) files.set(`targets/${hash}.${name}`, read('go-tuf/targets', name));
    }
    const directory = pin(read('go-tuf/metadata/root.json'));
    at('2030-01-01T00:00:00Z');
    const content = await withTrust(directory, new MemorySource(files), (trust) => trust.target('file1.txt'));
    expect(content).toEqual(read('go-tuf/targets/file1.txt'));
    at('2030-08-16T00:00:00Z');
    expect(await refused(directory, new MemorySource(files), 'file1.txt')).toMatchObject({
      facts: { reason: 'expired' },
    });
  });

  it('sigstore: the root keys rotate from any version to the newest', async () => {
    const source = new FileSource(join(GOLDEN, 'sigstore-root-signing'));
    for (let version = 1; version <= 12; version++) {
      const directory = pin(read('sigstore-root-signing/metadata', `${version}.root.json`));
      // There is nothing but roots.
      expect(await refused(directory, source)).toMatchObject({ code: 'not-found', message: 'there is no repository' });
      expect(readFileSync(join(directory, 'root.json'))).toEqual(read('sigstore-root-signing/initial_root.json'));
    }
  });

  it('sigstore: a chain of roots with a link changed or left out is refused at that link', async () => {
    const roots = new Map(
      Array.from({ length: 12 }, (_, at) => {
        const path = `metadata/${at + 1}.root.json`;
        return [path, read('sigstore-root-signing', path)] as const;
      }),
    );
    const changed = roots.get('metadata/7.root.json')!.toString().replace('"threshold": 3', '"threshold": 1');
    const directory = pin(roots.get('metadata/1.root.json')!);
    const source = new MemorySource(roots);
    source.tricks.set('metadata/7.root.json', Buffer.from(changed));
    expect(await refused(directory, source)).toMatchObject({ facts: { role: 'root', reason: 'signature' } });
    expect(versionOf(directory, 'root')).toBe(6);
    source.tricks.set('metadata/7.root.json', roots.get('metadata/8.root.json')!);
    expect((await refused(directory, source)).code).toBe('verification-failed');
    expect(versionOf(directory, 'root')).toBe(6);
  });
});

describe('attacks', () => {
  let repository: TufRepository;
  let source: MemorySource;
  let directory: string;
  const CHANNEL = Buffer.from('{"channel":"stable"}');

  beforeEach(() => {
    at('2035-01-01T00:00:00Z');
    repository = new TufRepository();
    repository.targets.set('channels/stable.json', CHANNEL);
    repository.publish();
    source = new MemorySource(repository.files);
    directory = pin(repository.root);
  });

  const fetched = () => withTrust(directory, source, (trust) => trust.target('channels/stable.json'));

  it('a repository that is well signed is believed', async () => {
    expect(await fetched()).toEqual(CHANNEL);
    expect(await withTrust(directory, source, (trust) => trust.target('channels/other.json'))).toBeUndefined();
  });

  it('rollback: an older timestamp than was seen before', async () => {
    const old = new Map(repository.files);
    repository.bump('timestamp');
    repository.publish();
    await fetched();
    source = new MemorySource(old);
    expect(await refused(directory, source)).toMatchObject({
      code: 'verification-failed',
      facts: { role: 'timestamp', reason: 'rollback' },
      where: 'memory:/metadata/timestamp.json',
    });
    expect(versionOf(directory, 'timestamp')).toBe(2);
  });

  it('rollback: a new timestamp over an older snapshot', async () => {
    repository.bump('snapshot', 'timestamp');
    repository.publish();
    await fetched();
    repository.versions.set('snapshot', 1);
    repository.bump('timestamp');
    repository.publish();
    expect(await refused(directory, source)).toMatchObject({ facts: { role: 'timestamp', reason: 'rollback' } });
  });

  it('rollback: a new snapshot over an older delegated role', async () => {
    repository.bump('channels', 'snapshot', 'timestamp');
    repository.publish();
    await fetched();
    repository.versions.set('channels', 1);
    repository.bump('snapshot', 'timestamp');
    repository.publish();
    expect(await refused(directory, source)).toMatchObject({ facts: { role: 'snapshot', reason: 'rollback' } });
  });

  it.each(['timestamp', 'snapshot', 'targets', 'channels', 'root'])('freeze: %s is expired', async (role) => {
    repository.expires.set(role, '2034-12-31T23:59:59Z');
    repository.publish();
    directory = pin(repository.root);
    const error = await refused(directory, source);
    expect(error).toMatchObject({ code: 'verification-failed', facts: { role, reason: 'expired' } });
    expect(error.message).toBe(`metadata of role ${role} is refused: it is expired`);
  });

  it('freeze: the same timestamp is served for ever', async () => {
    await fetched();
    at('2041-01-01T00:00:00Z');
    expect(await refused(directory, source)).toMatchObject({ facts: { reason: 'expired' } });
  });

  it.each(['snapshot', 'targets', 'channels'])('mix and match: %s of another moment', async (role) => {
    const path = `metadata/1.${role}.json`;
    const other = repository.files.get(path)!;
    repository.expires.set(role, '2039-01-01T00:00:00Z');
    repository.publish();
    source.tricks.set(path, other);
    expect(await refused(directory, source)).toMatchObject({
      facts: { role, reason: 'mismatch' },
      where: `memory:/${path}`,
    });
  });

  it.each(['timestamp', 'snapshot', 'targets', 'channels'])('wrong key: %s is signed by another', async (role) => {
    const rightful = new TufRepository();
    rightful.targets.set('channels/stable.json', CHANNEL);
    for (const [name, key] of repository.keys) if (name !== role) rightful.keys.set(name, key);
    rightful.publish();
    // The forger has all keys but one, and the device knows that one from the true root and targets.
    const forged = new MemorySource(rightful.files);
    if (role === 'channels') {
      const { files } = repository;
      const meta = (name: string) => repository.metaOf(name, forgedFiles.get(`metadata/1.${name}.json`)!);
      const forgedFiles = new Map(files).set(
        'metadata/1.channels.json',
        rightful.files.get('metadata/1.channels.json')!,
      );
      const snapshot = repository.write('snapshot', 'snapshot', {
        meta: Object.fromEntries(
          ['targets', 'releases', 'channels', 'deltas'].map((name) => [`${name}.json`, meta(name)]),
        ),
      });
      forgedFiles.set('metadata/1.snapshot.json', snapshot);
      forgedFiles.set(
        'metadata/timestamp.json',
        repository.write('timestamp', 'timestamp', {
          meta: { 'snapshot.json': repository.metaOf('snapshot', snapshot) },
        }),
      );
      expect(await refused(directory, new MemorySource(forgedFiles))).toMatchObject({
        facts: { role, reason: 'signature' },
      });
      return;
    }
    expect(await refused(directory, forged)).toMatchObject({ facts: { role, reason: 'signature' } });
  });

  it('wrong key: a new root that the old root did not sign', async () => {
    repository.keys.set('root', newKey());
    repository.bump('root');
    repository.publish();
    expect(await refused(directory, source)).toMatchObject({ facts: { role: 'root', reason: 'signature' } });
    expect(versionOf(directory, 'root')).toBe(1);
  });

  it.each([
    ['metadata/2.root.json', 'root'],
    ['metadata/timestamp.json', 'timestamp'],
    ['metadata/1.snapshot.json', 'snapshot'],
    ['metadata/1.targets.json', 'targets'],
    ['metadata/1.channels.json', 'channels'],
  ])('endless data: %s', async (path, role) => {
    source.tricks.set(path, 'endless');
    expect(await refused(directory, source)).toMatchObject({
      facts: { role, reason: 'too-long' },
      where: `memory:/${path}`,
    });
  });

  it('a target with other content than was signed', async () => {
    const path = [...repository.files.keys()].find((name) => name.startsWith('targets/channels/'))!;
    source.tricks.set(path, Buffer.from('{"channel":"stale!"}'));
    expect(await refused(directory, source)).toMatchObject({ code: 'verification-failed', where: `memory:/${path}` });
    source.tricks.set(path, 'endless');
    expect(await refused(directory, source)).toMatchObject({ code: 'verification-failed' });
  });

  it.each([
    ['a page of a hotel', '<html><body>Please log in</body></html>'],
    ['nothing', ''],
    ['null', 'null'],
    ['another kind of document', '{"signed":{"_type":"targets"},"signatures":[]}'],
    ['brackets without end', '['.repeat(16_000)],
  ])('%s in place of the timestamp', async (_, content) => {
    source.tricks.set('metadata/timestamp.json', Buffer.from(content));
    expect(await refused(directory, source)).toMatchObject({ facts: { role: 'timestamp', reason: 'malformed' } });
  });
});

describe('trouble that is no attack', () => {
  let repository: TufRepository;
  let source: MemorySource;
  let directory: string;

  beforeEach(() => {
    repository = new TufRepository();
    repository.targets.set('channels/stable.json', Buffer.from('{}'));
    repository.publish();
    source = new MemorySource(repository.files);
    directory = pin(repository.root);
  });
  const fetched = () => withTrust(directory, source, (trust) => trust.target('channels/stable.json'));

  it.each(['metadata/2.root.json', 'metadata/timestamp.json', 'metadata/1.snapshot.json', 'metadata/1.channels.json'])(
    'a dead network at %s is a network error',
    async (path) => {
      source.tricks.set(path, 'dead');
      expect((await refused(directory, source)).code).toBe('network');
    },
  );

  it('a file that signed metadata names but is missing is a damaged repository', async () => {
    repository.files.delete('metadata/1.snapshot.json');
    expect(await refused(directory, source)).toMatchObject({ code: 'damaged-repository' });
  });

  it('a device without a root says how to get one', async () => {
    const empty = mkdtempSync(join(temporary, 'empty-'));
    expect(await refused(empty, source)).toMatchObject({ code: 'not-found' });
    writeFileSync(join(empty, 'root.json'), '{"signed":');
    expect(await refused(empty, source)).toMatchObject({ code: 'damaged-store' });
    expect(readdirSync(empty)).toEqual(['root.json']);
  });

  it('looks at the root after this one and at the timestamp when nothing changed, at no more', async () => {
    await fetched();
    source.reads.length = 0;
    await fetched();
    expect(source.reads).toEqual(['metadata/2.root.json', 'metadata/timestamp.json']);
  });

  it.each(['timestamp', 'snapshot', 'targets', 'channels'])('a torn copy of %s on the device heals', async (role) => {
    await fetched();
    const whole = readFileSync(join(directory, `${role}.json`));
    for (const size of [0, 1, whole.length - 1]) {
      truncateSync(join(directory, `${role}.json`), size);
      expect((await fetched())?.toString()).toBe('{}');
      expect(readFileSync(join(directory, `${role}.json`))).toEqual(whole);
    }
  });

  it('a damaged copy of a target is fetched again', async () => {
    await fetched();
    const [name] = readdirSync(join(directory, 'targets'));
    writeFileSync(join(directory, 'targets', name!), '[]');
    expect((await fetched())?.toString()).toBe('{}');
  });

  it('takes over what was verified before a failure', async () => {
    repository.bump('timestamp', 'snapshot');
    repository.publish();
    source.tricks.set('metadata/2.snapshot.json', 'dead');
    expect((await refused(directory, source)).code).toBe('network');
    expect(versionOf(directory, 'timestamp')).toBe(2);
  });

  it('removes working copies of processes that died, not of those that live', async () => {
    mkdirSync(join(directory, `.copy-${2 ** 30}-abcdef`));
    mkdirSync(join(directory, `.copy-${process.ppid}-abcdef`));
    await fetched();
    expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([`.copy-${process.ppid}-abcdef`]);
  });
});
