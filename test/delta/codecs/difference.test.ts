/** What is particular to the codec `difference`: members, bases, segments, projections. What all codecs must do is in ../codecs.test.ts. */
import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collect } from '../../../src/core/bytes.ts';
import { decodeDifference } from '../../../src/delta/codecs/difference-decode.ts';
import { type Content, encodeDifference } from '../../../src/delta/codecs/difference-encode.ts';
import { memoryBase } from '../../../src/delta/read-base.ts';
import { mutate, randomNumbers } from '../../helpers/mutate.ts';
import { chunksOf, noise } from '../../helpers/pools.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);

/** Old files of the record, new ones, and for each of these the old ones that may help. */
interface Pair {
  readonly bases: readonly Uint8Array[];
  readonly members: readonly Uint8Array[];
  readonly basesOf?: readonly (readonly number[])[];
}

function contentOf({ bases, members, basesOf }: Pair): Content {
  return {
    target: Buffer.concat(members),
    bases,
    members: members.map(({ length }) => length),
    basesOf: basesOf ?? members.map(() => [...bases.keys()]),
  };
}

function encode(pair: Pair, effort = 7, segmentBytes?: number): Uint8Array {
  return encodeDifference(contentOf(pair), effort, segmentBytes)!;
}

function decode(stored: Uint8Array, { bases, members }: Pair, chunk = 1000): Promise<Buffer> {
  const sizes = members.map(({ length }) => length);
  return collect(decodeDifference(chunksOf(stored, chunk), bases.map(memoryBase), sizes));
}

async function expectRoundTrip(pair: Pair, effort = 7, segmentBytes?: number): Promise<Uint8Array> {
  const before = pair.bases.map((base) => Buffer.from(base));
  const stored = encode(pair, effort, segmentBytes);
  expect((await decode(stored, pair)).equals(Buffer.concat(pair.members))).toBe(true);
  // What is projected is a copy.
  expect(pair.bases.map((base) => Buffer.from(base))).toEqual(before);
  return stored;
}

/** Bytes with structure: runs, words that come again, noise. */
const bytes = fc
  .array(
    fc.oneof(
      fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 1, max: 300 })).map(([b, n]) => Buffer.alloc(n, b)),
      fc.uint8Array({ minLength: 1, maxLength: 200 }).map((part) => Buffer.from(part)),
      fc.integer({ min: 0, max: 20 }).map((seed) => noise(100 + 37 * seed, seed)),
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((parts) => Buffer.concat(parts));

/** A successor: pieces of the old file in any order, with changes, and pieces of its own. */
function successorOf(old: Buffer, next: () => number): Buffer {
  const below = (limit: number) => Math.floor(next() * limit);
  const parts: Buffer[] = [];
  for (let count = 1 + below(5); count > 0; count--) {
    const at = below(old.length);
    const piece = Buffer.from(old.subarray(at, at + 1 + below(old.length - at)));
    for (let changes = below(6); changes > 0; changes--) piece[below(piece.length)] = below(256);
    parts.push(piece, noise(below(3) * below(60), below(1000)));
  }
  return Buffer.concat(parts);
}

const pairs: fc.Arbitrary<Pair & { segmentBytes: number; effort: number }> = fc
  .record({
    bases: fc.array(bytes, { minLength: 0, maxLength: 3 }),
    seed: fc.integer(),
    count: fc.integer({ min: 1, max: 4 }),
    segmentBytes: fc.constantFrom(1, 13, 500, 16 << 20),
    effort: fc.integer({ min: 1, max: 9 }),
  })
  .map(({ bases, seed, count, segmentBytes, effort }) => {
    const random = randomNumbers(seed);
    const members = Array.from({ length: count }, () => {
      const old = bases[Math.floor(random() * bases.length)];
      return old === undefined || random() < 0.1
        ? noise(1 + Math.floor(random() * 400), seed)
        : successorOf(old, random);
    });
    const basesOf = members.map(() => [...bases.keys()].filter(() => random() < 0.7));
    const most = Buffer.concat(members).length;
    return { bases, members, basesOf, effort, segmentBytes: Math.max(segmentBytes, Math.ceil(most / 4)) };
  });

describe('the codec difference', () => {
  it('gives back any content, against any bases, in any segments, at any effort', { timeout: 120_000 * SCALE }, () =>
    fc.assert(
      fc.asyncProperty(pairs, async ({ segmentBytes, effort, ...pair }) => {
        await expectRoundTrip(pair, effort, segmentBytes);
      }),
      { numRuns: 150 * SCALE },
    ),
  );

  const old = noise(5000, 1);
  const edges: Record<string, Pair> = {
    'no base': { bases: [], members: [Buffer.from('from nothing')] },
    'a base that does not help': { bases: [noise(3000, 2)], members: [noise(3000, 3)] },
    'an unchanged file': { bases: [old], members: [old] },
    'members of one byte': {
      bases: [Buffer.from('x')],
      members: [Buffer.from('x'), Buffer.from('y'), Buffer.from('x')],
    },
    'a literal at the start': { bases: [old], members: [Buffer.concat([noise(50, 4), old])] },
    'a literal at the end': { bases: [old], members: [Buffer.concat([old, noise(50, 4)])] },
    'the end of a file at its start': {
      bases: [old],
      members: [Buffer.concat([old.subarray(2500), old.subarray(0, 2500)])],
    },
    'a part of a file': { bases: [old], members: [old.subarray(777, 1777)] },
    'parts of two files': {
      bases: [old, noise(4000, 5)],
      members: [Buffer.concat([old.subarray(9, 3000), noise(4000, 5)])],
    },
    zeros: { bases: [Buffer.alloc(100_000)], members: [Buffer.alloc(1 << 20)] },
    'zeros from nothing': { bases: [noise(10, 1)], members: [Buffer.alloc(1 << 20)] },
    'a byte added to all': { bases: [old], members: [Buffer.from(old.map((byte) => byte + 1))] },
    'a member that all bases help after one that none does': {
      bases: [old, noise(4000, 5)],
      members: [noise(100, 8), Buffer.concat([old, noise(4000, 5)])],
      basesOf: [[], [1, 0]],
    },
  };
  for (const [name, pair] of Object.entries(edges)) {
    it(`takes ${name}`, async () => {
      for (const segmentBytes of [undefined, 999])
        if (segmentBytes === undefined || Buffer.concat(pair.members).length < 1e5)
          await expectRoundTrip(pair, 7, segmentBytes);
    });
  }

  it('reads the example of its documentation', async () => {
    const stored = Buffer.from('41030307040b010000007ffe9db91fa8000daf18005cc64d3af6c0fcf837e8', 'hex');
    const old = Buffer.from('listen on port 80 of every address, answer in English\n');
    const next = Buffer.from('listen on port 81 of every address, answer in French and English\n');
    expect((await decode(stored, { bases: [old], members: [next] })).toString()).toBe(next.toString());
    expect(Buffer.from(encode({ bases: [old], members: [next] })).equals(stored)).toBe(true);
  });

  it('stores little for an unchanged file, for a moved part and for bytes in between', async () => {
    const large = noise(200_000, 7);
    const moved = Buffer.concat([large.subarray(100_000), noise(100, 8), large.subarray(0, 100_000)]);
    expect(await expectRoundTrip({ bases: [large], members: [large] })).toHaveProperty(
      'length',
      expect.toSatisfy((n: number) => n < 60),
    );
    expect((await expectRoundTrip({ bases: [large], members: [moved] })).length).toBeLessThan(250);
  });

  it('takes from a large base what is copied, and no more', async () => {
    const large = noise(6 << 20, 9);
    const next = Buffer.concat([large.subarray(1 << 20, (1 << 20) + 300_000), noise(10, 1), large.subarray(77, 5000)]);
    const stored = encode({ bases: [large], members: [next] });
    let read = 0;
    const base = memoryBase(large);
    const counted = {
      size: base.size,
      read: (offset: number, length: number) => {
        read += length;
        return base.read(offset, length);
      },
    };
    expect((await collect(decodeDifference(chunksOf(stored, 99), [counted], [next.length]))).equals(next)).toBe(true);
    expect(read).toBe(next.length - 10);
  });

  it('reads a large base as a whole for a member that is as large', async () => {
    const large = noise(5 << 20, 9);
    const next = Buffer.concat([noise(10, 1), large.subarray(100), large.subarray(0, 100)]);
    const stored = encode({ bases: [large], members: [next] });
    const reads: number[] = [];
    const base = memoryBase(large);
    const counted = {
      size: base.size,
      read: (offset: number, length: number) => {
        reads.push(offset);
        return base.read(offset, length);
      },
    };
    expect((await collect(decodeDifference(chunksOf(stored, 99), [counted], [next.length]))).equals(next)).toBe(true);
    expect(reads).toEqual([0, 4 << 20]);
  });

  it('gives the content on in pieces', async () => {
    const large = noise(1 << 20, 7);
    const next = Buffer.from(large);
    for (let at = 0; at < next.length; at += 50_000) next.set(noise(5000, at), at);
    const stored = encode({ bases: [large], members: [next] });
    const pieces = await Array.fromAsync(
      decodeDifference(chunksOf(stored, 5000), [memoryBase(large)], [next.length]),
      (piece) => Buffer.from(piece),
    );
    expect(Buffer.concat(pieces).equals(next)).toBe(true);
    expect(pieces.length).toBeGreaterThan(5);
  });

  const programs = ['/usr/bin/true', '/usr/bin/false', '/usr/bin/cat', '/usr/bin/head'].filter((path) =>
    existsSync(path),
  );
  it.runIf(programs.length === 4)(
    'projects programs, in several segments too, and whatever is changed in them',
    async () => {
      const [a, b, c, d] = programs.map((path) => readFileSync(path)) as [Buffer, Buffer, Buffer, Buffer];
      const pair: Pair = { bases: [a, c], members: [b, d, a], basesOf: [[0], [1], [0]] };
      await expectRoundTrip(pair);
      await expectRoundTrip(pair, 7, 20_000);
      await expectRoundTrip({ bases: [a, c], members: [Buffer.concat([b, d])] });
      const random = randomNumbers(5);
      for (let run = 0; run < 15 * SCALE; run++)
        await expectRoundTrip({ bases: [mutate(a, random)], members: [mutate(b, random)] });
    },
  );
});

describe('a damaged record', () => {
  const old = noise(3000, 1);
  const random = randomNumbers(11);
  const pair: Pair = { bases: [old, noise(900, 2)], members: [successorOf(old, random), successorOf(old, random)] };

  it('is refused wherever it is cut, and with bytes behind it', async () => {
    for (const segmentBytes of [undefined, 700]) {
      const stored = encode(pair, 7, segmentBytes);
      for (let length = 0; length < stored.length; length += 17)
        await expect(decode(stored.subarray(0, length), pair), `cut at ${length}`).rejects.toMatchObject({
          code: 'damaged-delta',
        });
      await expect(decode(Buffer.concat([stored, Buffer.alloc(1)]), pair)).rejects.toMatchObject({
        code: 'damaged-delta',
      });
    }
  });

  it('ends as damaged, or as content of the right length', { timeout: 120_000 * SCALE }, async () => {
    const wanted = Buffer.concat(pair.members).length;
    for (const segmentBytes of [undefined, 700]) {
      const stored = encode(pair, 7, segmentBytes);
      for (let run = 0; run < 150 * SCALE; run++) {
        const decoded = await decode(mutate(stored, random), pair).catch((error) => error);
        if (Buffer.isBuffer(decoded)) expect(decoded.length).toBe(wanted);
        else
          expect(decoded).toMatchObject({
            name: 'OsupdError',
            code: expect.toBeOneOf(['damaged-delta', 'unsupported']),
          });
      }
    }
  });

  it.runIf(existsSync('/usr/bin/true'))(
    'of a program ends so too, and in a time',
    { timeout: 120_000 * SCALE },
    async () => {
      const programs: Pair = { bases: [readFileSync('/usr/bin/true')], members: [readFileSync('/usr/bin/false')] };
      const stored = encode(programs);
      for (let run = 0; run < 40 * SCALE; run++) {
        const decoded = await decode(mutate(stored, random), programs).catch((error) => error);
        if (Buffer.isBuffer(decoded)) expect(decoded.length).toBe(programs.members[0]!.length);
        else
          expect(decoded).toMatchObject({
            name: 'OsupdError',
            code: expect.toBeOneOf(['damaged-delta', 'unsupported']),
          });
      }
    },
  );

  it('never takes memory for what it claims', async () => {
    const claims = [
      [0x80, 0x80, 0x80, 0x80, 0x01, 0, 0, 0, 0, 0],
      [10, 0x80, 0x80, 0x80, 0x80, 0x01, 0, 0, 0, 0],
      [10, 1, 0x80, 0x80, 0x80, 0x80, 0x01, 0, 0, 0],
      [10, 1, 1, 0, 0x80, 0x80, 0x80, 0x40, 0x80, 0x80, 0x80, 0x40],
      [0, 1, 1, 0, 0, 0],
    ];
    for (const claim of claims)
      await expect(decode(Uint8Array.from(claim), { bases: [], members: [Buffer.alloc(10)] })).rejects.toMatchObject({
        code: 'damaged-delta',
      });
  });
});
