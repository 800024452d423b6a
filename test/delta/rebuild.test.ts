import { describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { packReferences, unpackReferences } from '../../src/delta/packed-references.ts';
import { listObjects, rebuildImages } from '../../src/delta/rebuild.ts';
import { objectsOf } from '../../src/tree/references.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { addSystem, imageBytes, makeDelta, newPool, newSystem, nextSystem, type System } from './fixture.ts';

const directory = temporaryDirectory();

/** As many long symbolic links as make an image of more than a megabyte. */
function large(system: System): System {
  const links = Array.from({ length: 600 }, (_, index) => [
    `links/${index}`,
    { type: 'symlink', target: 'somewhere/'.repeat(200) } as const,
  ]);
  return new Map([...system, ...(links as [string, { type: 'symlink'; target: string }][])]);
}

describe('images of a delta are made, and their objects listed,', () => {
  for (const [title, grow] of [
    ['on this thread where they are small', (system: System) => system],
    ['on another thread where they are large', large],
  ] as const) {
    it(title, async () => {
      const store = await newPool(directory);
      const old = newSystem(1, 30);
      const from = [await addSystem(store, grow(old))];
      const to = [await addSystem(store, grow(nextSystem(old, 2)))];
      const { head } = await makeDelta(store, { from, to });
      const more = new Map([...imageBytes(from), ['00'.repeat(32) as Digest, Buffer.from('not asked for')]]);
      const { images, objects } = await rebuildImages(head, more);
      expect([...images].map(([digest, bytes]) => [digest, Buffer.from(bytes)])).toEqual(
        to.map(({ digest, bytes }) => [digest, bytes]),
      );
      for (const { digest, bytes, tree } of [...from, ...to]) {
        expect(objects.get(digest)).toEqual(objectsOf(tree));
        expect(await listObjects(digest, bytes)).toEqual(objectsOf(tree));
      }
      const wrong = new Map([[from[0]!.digest, to[0]!.bytes]]);
      await expect(rebuildImages(head, wrong)).rejects.toMatchObject({ code: 'verification-failed' });
      await expect(rebuildImages(head, new Map())).rejects.toMatchObject({ code: 'not-found' });
    });
  }
});

it('lists of objects are the same after they were packed', () => {
  const objects = [0, 1, 4096, 2 ** 53 - 1].map((size, index) => ({ digest: `${index}f`.repeat(32) as Digest, size }));
  expect(unpackReferences(packReferences(objects))).toEqual(objects);
  expect(unpackReferences(packReferences([]))).toEqual([]);
});
