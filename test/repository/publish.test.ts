import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseRelease } from '../../src/repository/release.ts';
import { serveRepository } from '../../src/repository/serve.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { build, download, makeRepository, openReader, text } from './fixture.ts';

const base = temporaryDirectory();

it('publishes a release that an independent TUF client accepts', async () => {
  const repository = await makeRepository(base);
  const image = await build(repository.pool, 'os@1', { a: text('a', 5000), b: text('b', 70_000) });
  const published = await repository.publish('os@1');
  expect(published).toMatchObject({ changed: true, releases: [{ isNew: true, addedObjects: 2 }] });
  await using server = await serveRepository({ directory: repository.directory, host: '127.0.0.1', port: 0 });
  const reader = openReader(server.url, join(repository.directory, 'metadata/1.root.json'), join(base, 'reader'));
  await reader.refresh();
  const manifest = await download(reader, 'releases/os/1.json');
  expect(parseRelease(manifest ?? Buffer.alloc(0), 'os@1')).toEqual(published.releases[0]?.release);
  expect(published.releases[0]?.release.image.digest).toBe(image);
});
