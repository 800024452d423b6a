/** What every source must do (src/transport/source.ts): one suite, run against each implementation and decorator. */
import { describe, expect, it } from 'vitest';
import { collect } from '../../src/core/bytes.ts';
import { toOsupdError } from '../../src/core/errors.ts';
import type { ReadOptions, Source } from '../../src/transport/source.ts';

/** Bytes that differ at every place where a wrong offset could go unseen. */
export function pattern(size: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(size);
  let state = seed;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    bytes[at] = state >> 16;
  }
  return bytes;
}

export const FILES: ReadonlyMap<string, Buffer> = new Map([
  ['metadata/timestamp.json', Buffer.from('{"signed":{}}\n'.repeat(40))],
  ['objects/ab/cdef.zst', pattern(300_000)],
  ['empty', Buffer.alloc(0)],
  ['one', Buffer.from('1')],
  ['deltas/large.osd', pattern(3_000_000, 7)],
  ['names/1...json', Buffer.from('dots')],
  ['names/ö %2F#?&+.json', Buffer.from('odd name')],
]);

/** The bytes of a read, each chunk copied at once as the contract asks. */
export async function readAll(source: Source, path: string, options: ReadOptions): Promise<Buffer> {
  const copies = async function* () {
    for await (const chunk of source.read(path, options)) yield Buffer.from(chunk);
  };
  return collect(copies());
}

/** The code of the error that a read ends with, or `none`. */
export async function codeOf(read: Promise<unknown>): Promise<string> {
  return read.then(
    () => 'none',
    (error: unknown) => toOsupdError(error).code,
  );
}

/** @param open a source over {@link FILES} */
export function describeSource(title: string, open: () => Promise<Source>): void {
  describe(`the contract of a source: ${title}`, () => {
    const withSource = async (body: (source: Source) => Promise<void>) => {
      const source = await open();
      try {
        await body(source);
      } finally {
        await source.close();
      }
    };

    it('reads every thing whole, whatever its name', () =>
      withSource(async (source) => {
        for (const [path, content] of FILES) {
          const read = await readAll(source, path, { maxBytes: content.length });
          expect(read.equals(content), path).toBe(true);
        }
      }));

    it('reads exactly the bytes of a range', () =>
      withSource(async (source) => {
        const content = FILES.get('deltas/large.osd')!;
        for (const [offset, length] of [
          [0, 1],
          [0, 100_000],
          [1, 65_536],
          [1_234_567, 777_777],
          [2_999_999, 1],
          [0, 3_000_000],
        ] as const) {
          const read = await readAll(source, 'deltas/large.osd', { range: { offset, length }, maxBytes: length });
          expect(read.equals(content.subarray(offset, offset + length)), `${offset}+${length}`).toBe(true);
        }
      }));

    it('reads from a byte to the end, also where nothing is left', () =>
      withSource(async (source) => {
        const content = FILES.get('objects/ab/cdef.zst')!;
        const toEnd = (offset: number) =>
          readAll(source, 'objects/ab/cdef.zst', {
            range: { offset, length: Number.POSITIVE_INFINITY },
            maxBytes: content.length - offset,
          });
        expect((await toEnd(299_000)).equals(content.subarray(299_000))).toBe(true);
        expect(await toEnd(300_000)).toHaveLength(0);
      }));

    it('yields nothing for a range of no bytes', () =>
      withSource(async (source) => {
        expect(await readAll(source, 'one', { range: { offset: 1, length: 0 }, maxBytes: 0 })).toHaveLength(0);
      }));

    it('says not-found for what does not exist', () =>
      withSource(async (source) => {
        for (const path of ['nothing', 'objects/ab/cdee.zst', 'one/below', 'objects']) {
          expect(await codeOf(readAll(source, path, { maxBytes: 100 })), path).toBe('not-found');
        }
      }));

    it('refuses more bytes than allowed as a failed verification', () =>
      withSource(async (source) => {
        expect(await codeOf(readAll(source, 'deltas/large.osd', { maxBytes: 2_999_999 }))).toBe('verification-failed');
        expect(await codeOf(readAll(source, 'one', { maxBytes: 0 }))).toBe('verification-failed');
      }));

    it('says network when a thing is shorter than the range', () =>
      withSource(async (source) => {
        const range = { offset: 299_999, length: 2 };
        expect(await codeOf(readAll(source, 'objects/ab/cdef.zst', { range, maxBytes: 2 }))).toBe('network');
        const beyond = { offset: 400_000, length: 2 };
        expect(await codeOf(readAll(source, 'objects/ab/cdef.zst', { range: beyond, maxBytes: 2 }))).toBe('network');
      }));

    it('stops when the signal says so', () =>
      withSource(async (source) => {
        const { signal } = new AbortController();
        expect(await codeOf(readAll(source, 'one', { maxBytes: 1, signal }))).toBe('none');
        const controller = new AbortController();
        const read = async () => {
          const large = source.read('deltas/large.osd', { maxBytes: 3_000_000, signal: controller.signal });
          for await (const _ of large) controller.abort();
        };
        expect(await codeOf(read())).toBe('interrupted');
      }));

    it('can be left in the middle of a read and used again', () =>
      withSource(async (source) => {
        for (let round = 0; round < 20; round++) {
          for await (const _ of source.read('deltas/large.osd', { maxBytes: 3_000_000 })) break;
        }
        expect(await readAll(source, 'one', { maxBytes: 1 })).toEqual(Buffer.from('1'));
      }));

    it('serves many reads at the same time', () =>
      withSource(async (source) => {
        const content = FILES.get('objects/ab/cdef.zst')!;
        const reads = Array.from({ length: 24 }, (_, at) =>
          readAll(source, 'objects/ab/cdef.zst', { range: { offset: at * 1000, length: 50_000 }, maxBytes: 50_000 }),
        );
        for (const [at, read] of (await Promise.all(reads)).entries()) {
          expect(read.equals(content.subarray(at * 1000, at * 1000 + 50_000))).toBe(true);
        }
      }));

    it('refuses paths that lead out of the root', () =>
      withSource(async (source) => {
        for (const path of ['../one', 'objects/../one', '/one', 'objects//ab', './one', '']) {
          expect(await codeOf(readAll(source, path, { maxBytes: 1 })), path).toBe('internal');
        }
      }));
  });
}
