import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateKey, publicKeyFile } from '../../src/repository/key-file.ts';
import { KeyRing } from '../../src/repository/key-ring.ts';
import { refreshRepository } from '../../src/repository/refresh.ts';
import type { RoleName } from '../../src/repository/roles.ts';
import { rotateKeys } from '../../src/repository/rotate.ts';
import { type RunningServer, serveRepository } from '../../src/repository/serve.ts';
import { describePending, discardPending, signPending } from '../../src/repository/sign.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import {
  build,
  contentsOf,
  daysLater,
  download,
  makeRepository,
  NOW,
  newPlace,
  openReader,
  seededRandom,
  type TestRepository,
} from './fixture.ts';

const base = temporaryDirectory();
const servers: RunningServer[] = [];
/** One pool for all: nothing here changes it. */
const pool = join(base, 'pool');

beforeAll(async () => {
  await build(pool, 'os@1', { a: 'one' });
  await build(pool, 'os@2', { a: 'two' });
});
afterAll(async () => {
  for (const server of servers) await server.close();
});

async function serve(repository: TestRepository): Promise<string> {
  const server = await serveRepository({ directory: repository.directory, host: '127.0.0.1', port: 0 });
  servers.push(server);
  return server.url;
}

async function published(options: Parameters<typeof makeRepository>[1] = {}): Promise<TestRepository> {
  const repository = await makeRepository(newPlace(base), { ...options, pool });
  await repository.publish('os@1');
  return repository;
}

let rotations = 0;

async function rotate(
  repository: TestRepository,
  role: RoleName,
  more: Partial<Parameters<typeof rotateKeys>[0]> = {},
) {
  const random = seededRandom(`rotation ${rotations++}`);
  return rotateKeys({ ...(await repository.common()), role, keyIds: [], random, ...more });
}

describe('rotating keys', () => {
  it.each(['root', 'targets', 'snapshot', 'timestamp', 'releases', 'channels', 'deltas'] as const)(
    'of role %s is followed by readers, new ones and such that knew the old keys',
    async (role) => {
      const repository = await published();
      const url = await serve(repository);
      await openReader(url, repository, 'old').refresh();
      const { before, after } = await rotate(repository, role);
      expect(after.keys.map((key) => key.keyId)).not.toEqual(before.keys.map((key) => key.keyId));
      await repository.publish('os@2');
      await repository.offer('os@2');
      for (const state of ['old', 'new']) {
        await download(openReader(url, repository, state), 'releases/os/2.json');
        await download(openReader(url, repository, state), 'channels/stable.json');
      }
      expect(await repository.problems()).toEqual([]);
    },
  );

  it('several times in a row is one chain of roots', async () => {
    const repository = await published();
    const url = await serve(repository);
    await openReader(url, repository, 'old').refresh();
    for (const role of ['root', 'timestamp', 'root', 'snapshot', 'root'] as const) await rotate(repository, role);
    expect(repository.files('metadata')).toContain('6.root.json');
    for (const state of ['old', 'new']) await download(openReader(url, repository, state), 'releases/os/1.json');
  });

  it('works when the old key of an online role is lost', async () => {
    const repository = await published();
    const url = await serve(repository);
    await openReader(url, repository, 'old').refresh();
    for (const role of ['timestamp', 'releases'] as const) {
      repository.removeKeys(role);
      await rotate(repository, role);
    }
    await repository.publish('os@2');
    for (const state of ['old', 'new']) await download(openReader(url, repository, state), 'releases/os/2.json');
  });

  it('keeps old keys from signing', async () => {
    const repository = await published();
    const old = new Map((await repository.ring()).keys.map((key) => [key.roles[0], key]));
    await rotate(repository, 'releases');
    repository.removeKeys('releases');
    await (await repository.ring()).add(old.get('releases')!);
    await expect(repository.publish('os@2')).rejects.toMatchObject({ code: 'not-found', facts: { role: 'releases' } });
  });

  it('of root takes the old root keys', async () => {
    const repository = await published();
    repository.removeKeys('root');
    const before = contentsOf(repository.directory);
    const keys = contentsOf(repository.keys);
    await expect(rotate(repository, 'root')).rejects.toMatchObject({ code: 'not-found', facts: { role: 'root' } });
    await expect(rotate(repository, 'timestamp')).rejects.toMatchObject({ code: 'not-found', facts: { role: 'root' } });
    expect(contentsOf(repository.directory)).toEqual(before);
    expect(contentsOf(repository.keys)).toEqual(keys);
  });

  it('can name the keys and raise the threshold', async () => {
    const repository = await published();
    const ring = await repository.ring();
    const more = [1, 2].map((index) => generateKey(['root'], seededRandom(`more ${index}`)));
    for (const key of more) await ring.add(key);
    const keyIds = more.map((key) => key.keyId.slice(0, 8));
    await expect(rotate(repository, 'root', { keyIds, threshold: 3 })).rejects.toMatchObject({ code: 'usage' });
    await expect(rotate(repository, 'root', { keyIds: ['00000000'] })).rejects.toMatchObject({ code: 'not-found' });
    const { after } = await rotate(repository, 'root', { keyIds, threshold: 2 });
    expect(after).toMatchObject({ threshold: 2, keys: [{ keyId: more[0]?.keyId }, { keyId: more[1]?.keyId }] });
    await download(openReader(await serve(repository), repository, 'new'), 'releases/os/1.json');
    // From now on one of the two does not suffice.
    rmSync(join(repository.keys, `root-${more[0]?.keyId.slice(0, 8)}.json`));
    await expect(rotate(repository, 'root')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('that was cut off between root and timestamp is finished by the next command', async () => {
    const repository = await published();
    const url = await serve(repository);
    repository.removeKeys('timestamp');
    const timestamp = readFileSync(join(repository.directory, 'metadata/timestamp.json'));
    await rotate(repository, 'timestamp');
    writeFileSync(join(repository.directory, 'metadata/timestamp.json'), timestamp);
    await expect(openReader(url, repository, 'during').refresh()).rejects.toThrow();
    await refreshRepository(await repository.common());
    await download(openReader(url, repository, 'after'), 'releases/os/1.json');
  });
});

describe('thresholds', () => {
  it('of two keys are signed by two', async () => {
    const repository = await published({ thresholds: { root: 2, releases: 2, timestamp: 2 } });
    await download(openReader(await serve(repository), repository, 'new'), 'releases/os/1.json');
    const timestamp = JSON.parse(readFileSync(join(repository.directory, 'metadata/timestamp.json'), 'utf8'));
    expect(timestamp.signatures).toHaveLength(2);
  });
});

describe('keys in different places', () => {
  /** Moves the keys of a role to a directory of their own. */
  async function takeAway(repository: TestRepository, role: RoleName): Promise<KeyRing> {
    const ring = await KeyRing.open(join(repository.keys, `../offline-${role}`));
    for (const key of (await repository.ring()).forRole(role)) await ring.add(key);
    repository.removeKeys(role);
    return ring;
  }

  it('sign one after the other, and readers see nothing before the last', async () => {
    const repository = await published({ thresholds: { releases: 2 } });
    const url = await serve(repository);
    const offline = await takeAway(repository, 'releases');
    const [first, second] = offline.keys;
    const before = contentsOf(join(repository.directory, 'metadata'));
    const { waiting } = await repository.publish('os@2', { signLater: true });
    expect(waiting).toEqual(['releases']);
    expect(contentsOf(join(repository.directory, 'metadata'))).toEqual(before);
    expect(await describePending(repository.directory)).toMatchObject([
      { role: 'releases', version: 3, signatures: 0, threshold: 2, changed: ['releases/os/2.json'], removed: [] },
    ]);
    for (const [index, key] of [first!, second!].entries()) {
      const ring = await KeyRing.open(join(repository.keys, `../place-${index}`));
      await ring.add(key);
      const signed = await signPending({ directory: repository.directory, ring, now: NOW });
      expect(signed.waiting).toContain(index === 0 ? 'releases' : 'timestamp');
      expect(contentsOf(join(repository.directory, 'metadata'))).toEqual(before);
    }
    const last = await signPending(await repository.common());
    expect(last.roles).toEqual(['releases', 'snapshot', 'timestamp']);
    await download(openReader(url, repository, 'new'), 'releases/os/2.json');
    await expect(signPending(await repository.common())).rejects.toMatchObject({ code: 'nothing-to-do' });
    expect(await repository.problems()).toEqual([]);
  });

  it('sign a copy of the metadata alone, which is carried to them and back', async () => {
    const repository = await published();
    const offline = await takeAway(repository, 'releases');
    await repository.publish('os@2', { signLater: true });
    const stick = join(repository.keys, '../stick');
    const carry = (from: string, to: string, folder: string) =>
      cpSync(join(from, folder), join(to, folder), { recursive: true });
    for (const folder of ['metadata', '.pending']) carry(repository.directory, stick, folder);
    expect(await describePending(stick)).toMatchObject([{ role: 'releases', changed: ['releases/os/2.json'] }]);
    expect(await signPending({ directory: stick, ring: offline, now: NOW })).toMatchObject({
      changes: [{ role: 'releases', signatures: 1 }],
      roles: [],
      waiting: ['snapshot', 'timestamp'],
    });
    carry(stick, repository.directory, '.pending');
    expect(await signPending(await repository.common())).toMatchObject({ waiting: [] });
    expect(await repository.problems()).toEqual([]);
    await download(openReader(await serve(repository), repository, 'new'), 'releases/os/2.json');
  });

  it('become the keys of a role together, without their private halves meeting', async () => {
    const repository = await published();
    const holder = await KeyRing.open(join(repository.keys, '../holder'));
    const key = generateKey(['root'], seededRandom('holder'));
    await holder.add(key);
    const ring = await repository.ring();
    await ring.add(publicKeyFile(['root'], key.public));
    const keyIds = ring.forRole('root').map(({ keyId }) => keyId);
    expect(await rotate(repository, 'root', { keyIds, threshold: 2, signLater: true })).toMatchObject({
      waiting: ['root'],
    });
    const sign = () => signPending({ directory: repository.directory, ring: holder, now: NOW });
    // The holder must know the first key, to know whose repository this is.
    await expect(sign()).rejects.toMatchObject({ code: 'verification-failed' });
    for (const other of ring.forRole('root')) {
      if (other.keyId !== key.keyId) await holder.add(publicKeyFile(['root'], other.public));
    }
    expect(await sign()).toMatchObject({ roles: ['root'], waiting: [] });
    await download(openReader(await serve(repository), repository, 'new'), 'releases/os/1.json');
  });

  it('rotate a role with the root key offline', async () => {
    const repository = await published();
    const url = await serve(repository);
    await openReader(url, repository, 'old').refresh();
    const offline = await takeAway(repository, 'root');
    expect(await rotate(repository, 'timestamp', { signLater: true })).toMatchObject({ waiting: ['root'], roles: [] });
    expect(await describePending(repository.directory)).toMatchObject([
      { role: 'root', version: 2, rekeyed: ['timestamp'] },
    ]);
    const offlineSigned = await signPending({ directory: repository.directory, ring: offline, now: NOW });
    expect(offlineSigned.waiting).toEqual(['timestamp']);
    expect(await signPending(await repository.common())).toMatchObject({ roles: ['root', 'timestamp'], waiting: [] });
    for (const state of ['old', 'new']) await download(openReader(url, repository, state), 'releases/os/1.json');
  });

  it('rotate a delegated role with the targets key offline', async () => {
    const repository = await published();
    const offline = await takeAway(repository, 'targets');
    expect(await rotate(repository, 'channels', { signLater: true })).toMatchObject({ waiting: ['targets'] });
    expect((await describePending(repository.directory)).map(({ role }) => role)).toEqual(['channels', 'targets']);
    await signPending({ directory: repository.directory, ring: offline, now: NOW });
    expect((await signPending(await repository.common())).waiting).toEqual([]);
    await repository.offer('os@1');
    await download(openReader(await serve(repository), repository, 'new'), 'channels/stable.json');
  });

  it('do not sign over a change that was published meanwhile, nor lose one that waits', async () => {
    const repository = await published();
    const offline = await takeAway(repository, 'releases');
    await repository.publish('os@2', { signLater: true });
    await expect(repository.publish('os@2', { signLater: true })).rejects.toMatchObject({
      code: 'busy',
      remedy: expect.stringContaining('--discard'),
    });
    for (const key of offline.keys) await (await repository.ring()).add(key);
    await repository.publish('os@2');
    await expect(signPending(await repository.common())).rejects.toMatchObject({
      code: 'usage',
      remedy: expect.stringContaining('--discard'),
    });
    await discardPending(await repository.common());
    expect(await describePending(repository.directory)).toEqual([]);
  });

  it('may know the root by its public half, to go on from what others have signed', async () => {
    const repository = await published();
    const ring = await repository.ring();
    const second = generateKey(['releases'], seededRandom('second'));
    await ring.add(second);
    await rotate(repository, 'releases', { keyIds: ring.forRole('releases').map((key) => key.keyId) });
    rmSync(join(repository.keys, `releases-${second.keyId.slice(0, 8)}.json`));
    await repository.publish('os@2');
    // Elsewhere is the other key for releases; the present version is signed by the first one alone.
    const elsewhere = await KeyRing.open(join(repository.keys, '../elsewhere'));
    for (const role of ['snapshot', 'timestamp'] as const) await elsewhere.add(ring.forRole(role)[0]!);
    await elsewhere.add(second);
    const refresh = () =>
      refreshRepository({ directory: repository.directory, ring: elsewhere, now: NOW, roles: ['releases'] });
    await expect(refresh()).rejects.toMatchObject({ code: 'verification-failed', facts: { role: 'releases' } });
    await elsewhere.add(publicKeyFile(['root'], ring.forRole('root')[0]?.public ?? ''));
    expect((await refresh()).signed).toEqual(['releases', 'snapshot', 'timestamp']);
  });
});

describe('refreshing', () => {
  it('signs what has less than a third of its lifetime left, and nothing else', async () => {
    const repository = await published();
    const refresh = async (days: number) => refreshRepository({ ...(await repository.common()), now: daysLater(days) });
    const before = contentsOf(repository.directory);
    expect((await refresh(4)).signed).toEqual([]);
    expect(contentsOf(repository.directory)).toEqual(before);
    expect((await refresh(5)).signed).toEqual(['timestamp']);
    expect((await refresh(21)).signed).toEqual(['snapshot', 'timestamp']);
    expect((await refresh(300)).signed).toHaveLength(7);
    expect(await repository.problems(daysLater(301))).toEqual([]);
    expect((await repository.problems(daysLater(310))).map(({ where }) => where)).toEqual(['timestamp']);
  });

  it('keeps to the lifetimes that the repository was made with, until they are changed', async () => {
    const repository = await published({ lifetimes: { timestamp: 3600, snapshot: 7200 } });
    const expiryOf = () =>
      JSON.parse(readFileSync(join(repository.directory, 'metadata/timestamp.json'), 'utf8')).signed.expires;
    expect(expiryOf()).toBe('2030-01-01T01:00:00Z');
    await refreshRepository({ ...(await repository.common()), now: daysLater(1) });
    expect(expiryOf()).toBe('2030-01-02T01:00:00Z');
    await refreshRepository({ ...(await repository.common()), lifetimes: { timestamp: 60 } });
    expect(expiryOf()).toBe('2030-01-01T00:01:00Z');
    await repository.publish('os@2');
    expect(expiryOf()).toBe('2030-01-01T00:01:00Z');
  });

  it('says what expires soon and cannot be signed here, and fails when it has expired', async () => {
    const repository = await published();
    repository.removeKeys('root');
    const refresh = async (days: number) => refreshRepository({ ...(await repository.common()), now: daysLater(days) });
    expect((await refresh(300)).expiring).toEqual([{ role: 'root', expires: '2031-01-01T00:00:00Z', expired: false }]);
    await expect(refresh(366)).rejects.toMatchObject({ code: 'not-found', message: expect.stringContaining('root') });
    await expect(refreshRepository({ ...(await repository.common()), roles: ['root'] })).rejects.toMatchObject({
      code: 'not-found',
      facts: { role: 'root' },
    });
  });

  it('lets a reader notice that it is kept from news', async () => {
    const repository = await published({ now: new Date('2020-01-01T00:00:00Z') });
    const url = await serve(repository);
    await refreshRepository({ ...(await repository.common()), roles: ['root', 'targets', 'releases'] });
    await openReader(url, repository, 'reader').refresh();
    await refreshRepository({
      ...(await repository.common()),
      now: new Date('2020-02-01T00:00:00Z'),
      roles: ['timestamp'],
    });
    await expect(openReader(url, repository, 'reader').refresh()).rejects.toThrow(/expired/);
  });

  it('cannot be undone: a reader refuses what is older than what it has seen', async () => {
    const repository = await published();
    const url = await serve(repository);
    const timestamp = join(repository.directory, 'metadata/timestamp.json');
    const old = readFileSync(timestamp);
    await repository.publish('os@2');
    await openReader(url, repository, 'reader').refresh();
    writeFileSync(timestamp, old);
    await expect(openReader(url, repository, 'reader').refresh()).rejects.toThrow(/version/i);
  });
});
