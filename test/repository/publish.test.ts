import { readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { parseChannel } from '../../src/repository/channel.ts';
import { parseDeltaIndex } from '../../src/repository/delta-index.ts';
import { initRepository } from '../../src/repository/init.ts';
import { generateKey, publicKeyFile } from '../../src/repository/key-file.ts';
import { KeyRing } from '../../src/repository/key-ring.ts';
import { objectPath } from '../../src/repository/layout.ts';
import { decodeObjectSizes } from '../../src/repository/object-sizes.ts';
import { parseRelease } from '../../src/repository/release.ts';
import { ROLES } from '../../src/repository/roles.ts';
import { serveRepository } from '../../src/repository/serve.ts';
import { acquireLock } from '../../src/sys/lock.ts';
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
  text,
} from './fixture.ts';

const base = temporaryDirectory();
const FILES = { a: text('a', 5000), b: text('b', 70_000), empty: '' };

describe('a new repository', () => {
  it('is the same for the same keys and time', async () => {
    const [first, second] = [await makeRepository(newPlace(base)), await makeRepository(newPlace(base))];
    expect(contentsOf(first.directory)).toEqual(contentsOf(second.directory));
    expect(contentsOf(first.keys)).toEqual(contentsOf(second.keys));
  });

  it('is not made where there is one', async () => {
    const repository = await makeRepository(newPlace(base));
    const again = {
      directory: repository.directory,
      ring: await repository.ring(),
      now: NOW,
      random: seededRandom('x'),
    };
    const before = contentsOf(repository.directory);
    await expect(initRepository(again)).rejects.toMatchObject({ code: 'usage' });
    expect(contentsOf(repository.directory)).toEqual(before);
  });

  it('does not have its keys inside', async () => {
    const directory = join(newPlace(base), 'repository');
    const ring = await KeyRing.open(join(directory, 'metadata/keys'));
    await expect(initRepository({ directory, ring, now: NOW, random: seededRandom('x') })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('served'),
    });
  });

  it('makes as many keys as a threshold asks for, but does not add to keys that are there', async () => {
    const place = newPlace(base);
    const repository = await makeRepository(place, { thresholds: { root: 2 } });
    expect((await repository.ring()).forRole('root')).toHaveLength(2);
    const ring = await repository.ring();
    const other = { directory: join(place, 'other'), ring, now: NOW, random: seededRandom('x') };
    await expect(initRepository({ ...other, thresholds: { root: 3 } })).rejects.toMatchObject({
      code: 'usage',
      remedy: expect.stringContaining('osupd key generate'),
    });
  });
});

describe('publishing', () => {
  it('gives what an independent TUF client accepts', async () => {
    const repository = await makeRepository(newPlace(base));
    const image = await build(repository.pool, 'os@1', FILES);
    const { releases, changed } = await repository.publish('os@1', { full: true });
    expect(changed).toBe(true);
    expect(releases).toMatchObject([{ isNew: true, addedObjects: 2 }]);
    await repository.offer('os@1');

    await using server = await serveRepository({ directory: repository.directory, host: '127.0.0.1', port: 0 });
    const reader = openReader(server.url, repository, 'reader');
    const manifest = parseRelease(await download(reader, 'releases/os/1.json'), 'os@1');
    expect(manifest).toEqual(releases[0]?.release);
    expect(manifest.image.digest).toBe(image);
    expect(parseChannel(await download(reader, 'channels/stable.json'), 'stable').releases).toMatchObject({
      os: { version: '1', ramp: [], halted: false },
    });
    const index = parseDeltaIndex(await download(reader, `deltas/${image}.json`), 'deltas');
    expect(index.deltas).toMatchObject([{ from: [], to: [image] }]);
    expect(await repository.problems()).toEqual([]);
  });

  it('the same again changes nothing, at another time and with another effort', async () => {
    const repository = await makeRepository(newPlace(base));
    await build(repository.pool, 'os@1', FILES);
    await repository.publish('os@1', { full: true });
    const before = contentsOf(repository.directory);
    const again = await repository.publish('os@1', { full: true, now: daysLater(1), effort: 9 });
    expect(again).toMatchObject({ changed: false, releases: [{ isNew: false, addedObjects: 0 }] });
    expect(contentsOf(repository.directory)).toEqual(before);
  });

  it('gives the same bytes on any machine', async () => {
    const [first, second] = [await makeRepository(newPlace(base)), await makeRepository(newPlace(base))];
    for (const repository of [first, second]) {
      await build(repository.pool, 'os@1', FILES);
      await build(repository.pool, 'os@2', { ...FILES, a: text('new', 6000) });
      await repository.publish('os@1', { full: true });
      await repository.publish('os@2', { full: true });
      await repository.delta(['os@1'], ['os@2']);
    }
    expect(contentsOf(first.directory)).toEqual(contentsOf(second.directory));
  });

  it('shows several releases at once', async () => {
    const repository = await makeRepository(newPlace(base));
    await build(repository.pool, 'os@1', FILES);
    await build(repository.pool, 'app@1', { c: text('c', 100) });
    await repository.publish(['os@1', 'app@1']);
    expect(repository.files('metadata')).toContain('2.releases.json');
    expect(repository.files('metadata')).not.toContain('3.releases.json');
  });

  it('refuses another image under the same version', async () => {
    const repository = await makeRepository(newPlace(base));
    await build(repository.pool, 'os@1', FILES);
    await repository.publish('os@1');
    await build(repository.pool, 'os@1', { ...FILES, a: 'other' });
    const before = contentsOf(repository.directory);
    await expect(repository.publish('os@1')).rejects.toMatchObject({ code: 'usage', remedy: /new version/ });
    expect(contentsOf(repository.directory)).toEqual(before);
  });

  it('makes missing and truncated files again without a new version', async () => {
    const repository = await makeRepository(newPlace(base));
    await build(repository.pool, 'os@1', FILES);
    await repository.publish('os@1', { full: true });
    const before = contentsOf(repository.directory);
    const files = [...before.keys()].filter((path) => /^(objects|images|sizes|deltas)\//.test(path));
    expect(files).toHaveLength(5);
    for (const [index, path] of files.entries()) {
      const file = join(repository.directory, path);
      if (index % 2 === 0) rmSync(file);
      else truncateSync(file, 3);
    }
    expect(await repository.problems()).not.toEqual([]);
    await repository.publish('os@1', { full: true });
    expect(contentsOf(repository.directory)).toEqual(before);
  });

  it('refuses objects of the pool that are damaged', async () => {
    const repository = await makeRepository(newPlace(base));
    await build(repository.pool, 'os@1', FILES);
    const [object] = [...contentsOf(repository.pool).keys()].filter((path) => path.startsWith('objects/'));
    const file = join(repository.pool, object ?? '');
    const bytes = readFileSync(file);
    bytes[17] = (bytes[17] ?? 0) ^ 1;
    rmSync(file);
    writeFileSync(file, bytes);
    const before = contentsOf(repository.directory);
    await expect(repository.publish('os@1')).rejects.toMatchObject({ code: 'damaged-store', where: file });
    expect(contentsOf(repository.directory)).toEqual(before);
  });

  it('says which key it lacks before it does anything', async () => {
    const repository = await makeRepository(newPlace(base));
    await build(repository.pool, 'os@1', FILES);
    for (const role of ['root', 'targets', 'channels'] as const) repository.removeKeys(role);
    await repository.publish('os@1', { full: true });
    await build(repository.pool, 'os@2', { a: 'x' });
    for (const role of ['timestamp', 'releases'] as const) {
      repository.removeKeys(role);
      const before = contentsOf(repository.directory);
      await expect(repository.publish('os@2')).rejects.toMatchObject({
        code: 'not-found',
        message: expect.stringContaining(`"${role}"`),
        facts: { role },
      });
      expect(contentsOf(repository.directory)).toEqual(before);
    }
  });

  it('refuses what was not built, and a directory that is no repository', async () => {
    const repository = await makeRepository(newPlace(base));
    await build(repository.pool, 'os@1', FILES);
    await expect(repository.publish('os@9')).rejects.toMatchObject({ code: 'not-found', remedy: /osupd build/ });
    rmSync(join(repository.directory, 'metadata/1.root.json'));
    await expect(repository.publish('os@1')).rejects.toMatchObject({ code: 'not-found', remedy: /osupd repo init/ });
  });

  it('is busy while another one is at work', async () => {
    const repository = await makeRepository(newPlace(base));
    await build(repository.pool, 'os@1', FILES);
    using _lock = acquireLock(join(repository.directory, '.lock'), 'exclusive');
    await expect(repository.publish('os@1')).rejects.toMatchObject({ code: 'busy' });
  });

  it('does not sign on what somebody else put there', async () => {
    const repository = await makeRepository(newPlace(base));
    await build(repository.pool, 'os@1', FILES);
    // The forger lists our public keys beside their own, so that our signatures would count for devices that trust us.
    const place = newPlace(base);
    const ring = await KeyRing.open(join(place, 'keys'));
    for (const [index, role] of ROLES.entries()) await ring.add(generateKey([role], seededRandom(`forger ${index}`)));
    for (const key of (await repository.ring()).keys) await ring.add(publicKeyFile(key.roles, key.public));
    const directory = join(place, 'forged');
    await initRepository({ directory, ring, now: NOW, random: seededRandom('x') });
    rmSync(repository.directory, { recursive: true });
    renameSync(directory, repository.directory);
    await expect(repository.publish('os@1')).rejects.toMatchObject({ code: 'verification-failed', remedy: /key add/ });
    expect(contentsOf(repository.directory).size).toBe(7);
  });

  it('counts the stored bytes of every object in the order of the image', async () => {
    const repository = await makeRepository(newPlace(base));
    await build(repository.pool, 'os@1', FILES);
    const { releases } = await repository.publish('os@1');
    const release = releases[0]?.release;
    const bytes = readFileSync(join(repository.directory, `sizes/${release?.image.digest}.zst`));
    const sizes = await decodeObjectSizes(bytes, 2, 'sizes');
    const objects = [FILES.a, FILES.b].map((content) => objectPath(fsverityDigest(Buffer.from(content))));
    const stored = objects.map((path) => statSync(join(repository.directory, path)).size);
    expect(sizes).toEqual(stored);
    await expect(decodeObjectSizes(bytes, 1, 'sizes')).rejects.toMatchObject({ code: 'verification-failed' });
    await expect(decodeObjectSizes(bytes, 3, 'sizes')).rejects.toMatchObject({ code: 'verification-failed' });
    await expect(decodeObjectSizes(bytes.subarray(1), 2, 'sizes')).rejects.toMatchObject({
      code: 'verification-failed',
    });
  });
});
