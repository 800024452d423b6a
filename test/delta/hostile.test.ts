/** Deltas that are damaged, or made to do harm: each ends as an error that says so. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ByteWriter } from '../../src/core/bytes.ts';
import type { Digest } from '../../src/core/digest.ts';
import { OsupdError } from '../../src/core/errors.ts';
import { noProgress } from '../../src/core/progress.ts';
import { applyRecords, namedBy, planRecords, readHead } from '../../src/delta/apply.ts';
import { compressFrame, decompressFrameSync } from '../../src/delta/codecs/zstd-frame.ts';
import { type DeltaRecord, encodeHeader, type Header } from '../../src/delta/header.ts';
import { encodePrologue, PROLOGUE_BYTES, parsePrologue } from '../../src/delta/prologue.ts';
import { readTreeForm } from '../../src/delta/tree-form/read-tree.ts';
import { writeTreeForm } from '../../src/delta/tree-form/write-tree.ts';
import type { DeltaImage } from '../../src/delta/write.ts';
import { encodeImage } from '../../src/image/write.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import type { Pool } from '../../src/objects/pool.ts';
import { mutate, randomNumbers } from '../helpers/mutate.ts';
import { noise } from '../helpers/pools.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import {
  addSystem,
  copyObjects,
  digestsOf,
  imageBytes,
  makeDelta,
  newPool,
  newSystem,
  nextSystem,
  readerOf,
} from './fixture.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
const directory = temporaryDirectory();

/** What a delta may be refused with. */
const REFUSALS = ['damaged-delta', 'verification-failed', 'unsupported', 'not-found', 'limit-exceeded'];

let from: DeltaImage[];
let to: DeltaImage[];
let bytes: Buffer;
let header: Header;
let device: Pool;

beforeAll(async () => {
  const store = await newPool(directory);
  const before = newSystem(51, 60);
  from = [await addSystem(store, before)];
  to = [await addSystem(store, nextSystem(before, 52))];
  const made = await makeDelta(store, { from, to });
  bytes = made.bytes;
  header = made.head.header;
  device = await newPool(directory);
  await copyObjects(store, device, digestsOf(from));
});

/** Sizes of head and payload as the prologue says them. */
function parts(delta: Uint8Array) {
  const prologue = parsePrologue(delta);
  const imagesAt = PROLOGUE_BYTES + prologue.headerStored;
  return { ...prologue, imagesAt, payloadAt: imagesAt + prologue.images };
}

/** The delta with another header, image section or payload, and a prologue that fits. */
function rebuilt(changed: { header?: Uint8Array; images?: Uint8Array; payload?: Uint8Array; headerRaw?: number }) {
  const { imagesAt, payloadAt, headerRaw } = parts(bytes);
  const frame =
    changed.header === undefined
      ? bytes.subarray(PROLOGUE_BYTES, imagesAt)
      : compressFrame(changed.header, { level: 1, windowLog: 20 });
  const images = changed.images ?? bytes.subarray(imagesAt, payloadAt);
  const payload = changed.payload ?? bytes.subarray(payloadAt);
  const prologue = encodePrologue({
    headerStored: frame.length,
    headerRaw: changed.headerRaw ?? changed.header?.length ?? headerRaw,
    images: images.length,
    payload: payload.length,
  });
  return Buffer.concat([prologue, frame, images, payload]);
}

function withRecords(change: (records: DeltaRecord[]) => DeltaRecord[]): Buffer {
  return rebuilt({ header: encodeHeader({ ...header, records: change([...header.records]) }) });
}

/** Reads the whole delta as a device does that does not trust it; nothing stays of what it brings. */
async function take(delta: Uint8Array): Promise<void> {
  const head = readHead(delta.subarray(0, Math.min(parts(delta).payloadAt, delta.length)));
  const old = imageBytes(from);
  const images = await head.rebuildImages(old);
  const batch = await ObjectBatch.open(device, { workers: 1 });
  try {
    const plan = planRecords(head, namedBy(new Map([...old, ...images])), (digest: Digest) => batch.has(digest));
    await applyRecords(plan, readerOf(delta), batch, { progress: noProgress });
    for (const { digest, size } of plan.objects) expect(batch.has(digest, size)).toBe(true);
  } finally {
    await batch.abort();
  }
}

async function refusal(delta: Uint8Array): Promise<string | undefined> {
  try {
    await take(delta);
    return undefined;
  } catch (error) {
    if (!(error instanceof OsupdError)) throw error;
    return error.code;
  }
}

/** Damages a part of the delta in many ways; each is refused, or makes no difference. */
async function expectRefusals(seed: number, runs: number, damage: (random: () => number) => Uint8Array): Promise<void> {
  const random = randomNumbers(seed);
  let refused = 0;
  for (let run = 0; run < runs; run++) {
    const code = await refusal(damage(random));
    if (code !== undefined) {
      expect(REFUSALS).toContain(code);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(runs / 3);
}

it('the delta itself is good', async () => {
  expect(await refusal(bytes)).toBeUndefined();
  expect(await refusal(rebuilt({ header: encodeHeader(header) }))).toBeUndefined();
  expect(header.records.filter(({ bases }) => bases.length > 0).length).toBeGreaterThan(1);
  expect(header.records.filter(({ members }) => members.length > 1).length).toBeGreaterThan(1);
});

describe('damage is refused', () => {
  it('in every bit of the prologue', async () => {
    // Flags 16 to 31 may be ignored.
    for (let bit = 0; bit < PROLOGUE_BYTES * 8; bit++) {
      const delta = Buffer.from(bytes);
      delta[bit >> 3]! ^= 1 << (bit & 7);
      const code = await refusal(delta);
      if (bit >= 112 && bit < 128) expect(code).toBeUndefined();
      else expect(['damaged-delta', 'unsupported'], `bit ${bit}`).toContain(code);
    }
  });

  it('at every cut of the head', async () => {
    const { payloadAt } = parts(bytes);
    for (let length = 0; length < payloadAt; length += length < PROLOGUE_BYTES ? 1 : 13) {
      const cut = () => readHead(bytes.subarray(0, length));
      expect(cut).toThrow(expect.objectContaining({ code: 'damaged-delta' }));
    }
    expect(() => readHead(bytes.subarray(0, payloadAt + 1))).toThrow(
      expect.objectContaining({ code: 'damaged-delta' }),
    );
  });

  it('in the stored header', () =>
    expectRefusals(1, 60 * SCALE, (random) => {
      const { imagesAt } = parts(bytes);
      const frame = mutate(bytes.subarray(PROLOGUE_BYTES, imagesAt), random);
      return Buffer.concat([bytes.subarray(0, PROLOGUE_BYTES), frame, bytes.subarray(imagesAt)]);
    }));

  it('in the header before it is compressed', () =>
    expectRefusals(2, 100 * SCALE, (random) => rebuilt({ header: mutate(encodeHeader(header), random) })));

  it('in the image section', () =>
    expectRefusals(3, 60 * SCALE, (random) => {
      const { imagesAt, payloadAt } = parts(bytes);
      const images = mutate(bytes.subarray(imagesAt, payloadAt), random);
      return Buffer.concat([bytes.subarray(0, imagesAt), images, bytes.subarray(payloadAt)]);
    }));

  it('in the payload', () =>
    expectRefusals(4, 60 * SCALE, (random) => {
      const { payloadAt } = parts(bytes);
      return Buffer.concat([bytes.subarray(0, payloadAt), mutate(bytes.subarray(payloadAt), random)]);
    }));

  it('at cuts of the payload, with what was complete kept out of harm', async () => {
    const { payloadAt } = parts(bytes);
    for (let length = payloadAt; length < bytes.length; length += Math.ceil((bytes.length - payloadAt) / 9))
      expect(await refusal(bytes.subarray(0, length))).toBe('damaged-delta');
  });

  it('in the columns of a tree form, against an old tree or none', () => {
    const random = randomNumbers(5);
    for (const base of [undefined, from[0]!.tree]) {
      const form = writeTreeForm(to[0]!.tree, base);
      for (let run = 0; run < 1500 * SCALE; run++) {
        try {
          encodeImage(readTreeForm({ columns: mutate(form.columns, random), digests: form.digests }, base));
        } catch (error) {
          if (!(error instanceof OsupdError)) throw error;
          expect(['damaged-delta', 'invalid-tree', 'limit-exceeded']).toContain(error.code);
        }
      }
    }
  });
});

describe('a crafted delta is refused', () => {
  const single = () => header.records.findIndex(({ members }) => members.length === 1);
  const group = () => header.records.findIndex(({ members }) => members.length > 1);
  const based = () => header.records.findIndex(({ bases }) => bases.length > 0);
  const oldCount = () => digestsOf(from).length;

  it('with an object that moved from one record to another: they are too short and too long', async () => {
    const moved = withRecords((records) => {
      const [a, b] = [group(), single()];
      const { members } = records[a]!;
      records[a] = { ...records[a]!, members: members.slice(0, -1) };
      records[b] = { ...records[b]!, members: [...records[b]!.members, members.at(-1)!] };
      return records;
    });
    expect(await refusal(moved)).toBe('damaged-delta');
  });

  it('with objects in another order', async () => {
    const reversed = withRecords((records) => {
      records[group()] = { ...records[group()]!, members: records[group()]!.members.toReversed() };
      return records;
    });
    expect(await refusal(reversed)).toBe('verification-failed');
  });

  it('with another base of a record', async () => {
    const other = withRecords((records) => {
      const record = records[based()]!;
      records[based()] = { ...record, bases: record.bases.map((base) => (base + 1) % oldCount()) };
      return records;
    });
    expect(['damaged-delta', 'verification-failed']).toContain(await refusal(other));
  });

  const wrongRecords: Record<string, (records: DeltaRecord[]) => DeltaRecord[]> = {
    'an object that is there twice': (records) => {
      records[single()] = { ...records[single()]!, members: records[group()]!.members.slice(0, 1) };
      return records;
    },
    'an object that is twice in one record': (records) => {
      const { members } = records[single()]!;
      records[single()] = { ...records[single()]!, members: [...members, ...members] };
      return records;
    },
    'an object that no image has': (records) => {
      records[single()] = { ...records[single()]!, members: [1_000_000] };
      return records;
    },
    'an object without a record': (records) => {
      records[group()] = { ...records[group()]!, members: records[group()]!.members.slice(1) };
      return records;
    },
    'a base that comes later': (records) => {
      const record = records[based()]!;
      records[based()] = { ...record, bases: [oldCount() + records.at(-1)!.members[0]!] };
      return records;
    },
    'a record that is its own base': (records) => {
      const record = records[based()]!;
      records[based()] = { ...record, bases: [oldCount() + record.members[0]!] };
      return records;
    },
    'a base that is nowhere': (records) => {
      records[based()] = { ...records[based()]!, bases: [2 ** 40] };
      return records;
    },
    'a record without objects': (records) => [...records, { members: [], codec: 'zstd', bases: [], stored: 0 }],
    'bases for a codec that takes none': (records) => {
      records[based()] = { ...records[based()]!, codec: 'zstd' };
      return records;
    },
    'no base for a codec that takes one': (records) => {
      records[based()] = { ...records[based()]!, bases: [] };
      return records;
    },
    'stored lengths that are not those of the payload': (records) => {
      records[0] = { ...records[0]!, stored: records[0]!.stored + 1 };
      return records;
    },
    'a stored length beyond all numbers': (records) => {
      records[0] = { ...records[0]!, stored: Number.MAX_SAFE_INTEGER };
      return records;
    },
  };
  for (const [what, change] of Object.entries(wrongRecords)) {
    it(`with ${what}`, async () => {
      expect(await refusal(withRecords(change))).toBe('damaged-delta');
    });
  }

  it('with a base that is taken so often that it would not fit in memory', async () => {
    const often = withRecords((records) => {
      const record = records[based()]!;
      records[based()] = { ...record, bases: new Array<number>(300_000).fill(record.bases[0]!) };
      return records;
    });
    expect(await refusal(often)).toBe('damaged-delta');
  });

  it('with stored lengths that add up, but are not those of the records', async () => {
    const shifted = withRecords((records) => {
      records[0] = { ...records[0]!, stored: records[0]!.stored - 1 };
      records[1] = { ...records[1]!, stored: records[1]!.stored + 1 };
      return records;
    });
    expect(await refusal(shifted)).toBe('damaged-delta');
  });

  it('with counts beyond what follows, before memory is taken for them', async () => {
    const start = (write: (writer: ByteWriter) => void) => {
      const writer = new ByteWriter();
      write(writer);
      return writer.finish();
    };
    const digest = Buffer.alloc(32, 1);
    const upToCodecs = (writer: ByteWriter) => {
      writer.varint(0);
      writer.varint(1);
      writer.bytes(digest);
      writer.varint(1);
      writer.u8(4);
      writer.bytes(Buffer.from('zstd'));
      for (const number of [0, 0, 0, 100, 100, 0]) writer.varint(number);
    };
    for (const count of [65, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      const headers = [
        start((writer) => writer.varint(count)),
        start((writer) => {
          writer.varint(0);
          writer.varint(count);
        }),
        start((writer) => {
          writer.varint(0);
          writer.varint(1);
          writer.bytes(digest);
          writer.varint(count);
        }),
        start((writer) => {
          upToCodecs(writer);
          writer.varint(count);
        }),
        // One record with so many members, then with so many bases.
        start((writer) => {
          upToCodecs(writer);
          for (const number of [1, count, 0, 0]) writer.varint(number);
        }),
        start((writer) => {
          upToCodecs(writer);
          for (const number of [1, 1, 0, count, 0]) writer.varint(number);
        }),
      ];
      for (const raw of headers) expect(await refusal(rebuilt({ header: raw }))).toBe('damaged-delta');
    }
  });

  it('with a codec or a version that is not known: osupd must be newer', async () => {
    const codec = withRecords((records) => records.map((record) => ({ ...record, codec: 'lzma-9' })));
    expect(await refusal(codec)).toBe('unsupported');
    const version = Buffer.from(bytes);
    version[8] = 2;
    expect(await refusal(version)).toBe('unsupported');
  });

  it('with a header, an image or a record that swells: no more than is declared comes out', async () => {
    const bomb = compressFrame(Buffer.alloc(128 << 20), { level: 1, windowLog: 20 });
    expect(bomb.length).toBeLessThan(bytes.length * 10);
    const swollenHeader = Buffer.concat([
      encodePrologue({ headerStored: bomb.length, headerRaw: 100, images: 0, payload: 0 }),
      bomb,
    ]);
    expect(await refusal(swollenHeader)).toBe('damaged-delta');
    const image = {
      ...header.images[0]!,
      method: 'tree-v0',
      base: undefined,
      codec: 'zstd',
      raw: 1000,
      digests: 0,
    } as const;
    const images = [{ ...image, stored: bomb.length }];
    const swollenImage = rebuilt({ header: encodeHeader({ ...header, images }), images: bomb });
    expect(await refusal(swollenImage)).toBe('damaged-delta');
    const { payloadAt } = parts(bytes);
    const { stored } = header.records[0]!;
    const records = [
      { ...header.records[0]!, codec: 'zstd', bases: [], stored: bomb.length },
      ...header.records.slice(1),
    ];
    const swollenRecord = rebuilt({
      header: encodeHeader({ ...header, records }),
      payload: Buffer.concat([bomb, bytes.subarray(payloadAt + stored)]),
    });
    // The first object comes out whole, of zeros.
    expect(['damaged-delta', 'verification-failed']).toContain(await refusal(swollenRecord));
  });

  it('with a header that claims more than the limit', async () => {
    const claims = [
      { headerStored: 100, headerRaw: (64 << 20) + 1, images: 0, payload: 0 },
      { headerStored: (64 << 20) + 1, headerRaw: 100, images: 0, payload: 0 },
      { headerStored: 100, headerRaw: 100, images: (512 << 20) + 1, payload: 0 },
      { headerStored: 100, headerRaw: 100, images: 0, payload: Number.MAX_SAFE_INTEGER },
    ];
    for (const claim of claims) expect(await refusal(encodePrologue(claim))).toBe('damaged-delta');
    expect(await refusal(rebuilt({ headerRaw: 64 << 20 }))).toBe('damaged-delta');
  });

  it('when it starts from another image than it says', async () => {
    const swapped = rebuilt({ header: encodeHeader({ ...header, from: [to[0]!.digest], to: header.from }) });
    expect(await refusal(swapped)).toBe('not-found');
    const wrong = new Map([[from[0]!.digest, noise(4096, 1)]]);
    const head = readHead(bytes.subarray(0, parts(bytes).payloadAt));
    await expect(head.rebuildImages(wrong)).rejects.toMatchObject({ code: 'verification-failed' });
  });
});

it('the header that is compressed is the header', () => {
  const { imagesAt, headerRaw } = parts(bytes);
  const frame = bytes.subarray(PROLOGUE_BYTES, imagesAt);
  expect(decompressFrameSync(frame, { rawLength: headerRaw, maxWindowLog: 26 })).toEqual(encodeHeader(header));
});
