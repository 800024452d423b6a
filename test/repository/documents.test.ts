import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asDigest, type Digest } from '../../src/core/digest.ts';
import { type BuildRecord, readBuildRecord, writeBuildRecord } from '../../src/repository/build-record.ts';
import { type Channel, encodeChannel, parseChannel } from '../../src/repository/channel.ts';
import { type DeltaIndex, encodeDeltaIndex, parseDeltaIndex } from '../../src/repository/delta-index.ts';
import { deltaPath, isName, isVersion, parseReleaseReference } from '../../src/repository/layout.ts';
import { encodeRelease, parseRelease, type Release } from '../../src/repository/release.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const D = (digit: string): Digest => asDigest(digit.repeat(64));

const RELEASE: Release = {
  schema: 'osupd-release/1',
  name: 'os',
  version: '1.2~rc1+deb12',
  architecture: 'x86_64',
  createdAt: '2030-01-31T23:59:59Z',
  image: { digest: D('a'), size: 4096, stored: { length: 1000, sha256: D('b') } },
  objects: { count: 2, bytes: 70_000, sizes: { length: 20, sha256: D('c') } },
  boot: { kernel: '/boot/vmlinuz', initrd: '/boot/initrd', arguments: 'quiet' },
  requires: { apps: '>=3' },
  annotations: { 'org.example.commit': 'abc' },
};

const CHANNEL: Channel = {
  schema: 'osupd-channel/1',
  channel: 'stable',
  releases: {
    os: {
      version: '2',
      ramp: [
        ['2030-01-01T00:00:00Z', 0.5],
        ['2030-01-02T00:00:00Z', 100],
      ],
      halted: true,
      urgent: false,
      floor: '1',
    },
  },
  groups: { canary: { position: 0 } },
};

const INDEX: DeltaIndex = {
  schema: 'osupd-deltas/1',
  image: D('a'),
  deltas: [
    { from: [D('1')], to: [D('a'), D('2')], file: deltaPath(D('e')), size: 500, head: { size: 100, sha256: D('e') } },
    { from: [], to: [D('a')], file: deltaPath(D('f')), size: 900, head: { size: 900, sha256: D('f') } },
  ],
};

/** A valid document with one field, given by its path, replaced (or removed, by undefined). */
function altered(document: object, path: string, value: unknown): Buffer {
  const copy = JSON.parse(JSON.stringify(document));
  const parts = path.split('.');
  const last = parts.pop() ?? '';
  let at = copy;
  for (const part of parts) at = at[part];
  at[last] = value;
  return Buffer.from(JSON.stringify(copy));
}

describe('documents', () => {
  it('come back as they were written', () => {
    expect(parseRelease(encodeRelease(RELEASE), 'x')).toEqual(RELEASE);
    expect(parseChannel(encodeChannel(CHANNEL), 'x')).toEqual(CHANNEL);
    expect(parseDeltaIndex(encodeDeltaIndex(INDEX), 'x')).toEqual(INDEX);
  });

  it('have the same bytes whatever the order of their parts', () => {
    const { schema, ...rest } = RELEASE;
    expect(encodeRelease({ ...rest, schema })).toEqual(encodeRelease(RELEASE));
    expect(encodeDeltaIndex({ ...INDEX, deltas: [...INDEX.deltas].reverse() })).toEqual(encodeDeltaIndex(INDEX));
    const release = { version: '1', ramp: [], halted: false, urgent: false };
    const channel = (releases: Channel['releases']): Channel => ({ schema: 'osupd-channel/1', channel: 'c', releases });
    expect(encodeChannel(channel({ a: release, b: release }))).toEqual(
      encodeChannel(channel({ b: release, a: release })),
    );
  });

  it('may have fields that are not known, unless they are critical', () => {
    expect(parseRelease(altered(RELEASE, 'news', 1), 'x')).toEqual(RELEASE);
    const critical = altered({ ...RELEASE, news: 1 }, 'critical', ['name', 'news']);
    expect(() => parseRelease(critical, 'x')).toThrow(
      expect.objectContaining({ code: 'verification-failed', message: expect.stringContaining('"news"') }),
    );
    expect(parseRelease(altered(RELEASE, 'critical', ['boot']), 'x')).toEqual(RELEASE);
  });

  it.each([
    ['schema', 'osupd-release/2'],
    ['schema', undefined],
    ['name', 'Os'],
    ['name', '../os'],
    ['name', '__proto__'],
    ['version', '.1'],
    ['version', ''],
    ['version', 1],
    ['architecture', 'x86 64'],
    ['createdAt', '2030-01-31'],
    ['createdAt', '2030-13-31T23:59:59Z'],
    ['image.digest', 'A'.repeat(64)],
    ['image.size', -1],
    ['image.size', 1.5],
    ['image.size', 2 ** 40],
    ['image.stored', null],
    ['image.stored.length', 0],
    ['image.stored.sha256', 'abc'],
    ['objects.count', 2 ** 40],
    ['objects.bytes', 2 ** 60],
    ['boot', {}],
    ['requires', { '': '1' }],
    ['requires', ['apps']],
    ['annotations', { a: 1 }],
  ])('a release with %s = %j is refused', (path, value) => {
    const field = path.split('.').at(-1) ?? '';
    expect(() => parseRelease(altered(RELEASE, path, value), 'the place')).toThrow(
      expect.objectContaining({
        code: 'verification-failed',
        where: 'the place',
        message: expect.stringContaining(field),
      }),
    );
  });

  it.each([
    ['channel', 'Stable'],
    ['releases', []],
    ['releases', { '../x': { version: '1' } }],
    ['releases.os.version', '/'],
    ['releases.os.ramp', [['2030-01-01T00:00:00Z', 101]]],
    ['releases.os.ramp', [['2030-01-01T00:00:00Z', Number.NaN]]],
    ['releases.os.ramp', [['yesterday', 1]]],
    ['releases.os.ramp', [['2030-01-01T00:00:00Z']]],
    [
      'releases.os.ramp',
      [
        ['2030-01-02T00:00:00Z', 1],
        ['2030-01-01T00:00:00Z', 2],
      ],
    ],
    ['releases.os.halted', 'no'],
    ['releases.os.floor', ' '],
    ['groups', { canary: { position: 2 } }],
  ])('a channel with %s = %j is refused', (path, value) => {
    expect(() => parseChannel(altered(CHANNEL, path, value), 'x')).toThrow(
      expect.objectContaining({ code: 'verification-failed' }),
    );
  });

  it.each([
    ['image', D('9')],
    ['deltas.0.to', []],
    ['deltas.0.to', [D('a'), D('a')]],
    ['deltas.0.from', [D('1'), D('1')]],
    ['deltas.0.file', '../secret'],
    ['deltas.0.file', deltaPath(D('0'))],
    ['deltas.0.size', 0],
    ['deltas.0.head.size', 501],
    ['deltas.0.head.sha256', 'x'],
  ])('a delta index with %s = %j is refused', (path, value) => {
    expect(() => parseDeltaIndex(altered(INDEX, path, value), 'x')).toThrow(
      expect.objectContaining({ code: 'verification-failed' }),
    );
  });

  it('are refused with an error of ours, whatever bytes or JSON they are', () => {
    const documents = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .tuple(
          fc.constantFrom(RELEASE, CHANNEL, INDEX),
          fc.constantFrom('name', 'image', 'objects', 'releases', 'deltas'),
          fc.jsonValue(),
        )
        .map(([document, field, value]) => altered(document, field, value)),
    );
    fc.assert(
      fc.property(documents, fc.constantFrom(parseRelease, parseChannel, parseDeltaIndex), (bytes, parse) => {
        try {
          parse(bytes, 'x');
        } catch (error) {
          expect(error).toMatchObject({ name: 'OsupdError', code: 'verification-failed' });
        }
      }),
    );
  });
});

describe('names', () => {
  it('are parsed as NAME@VERSION', () => {
    expect(parseReleaseReference('os@1.2')).toEqual({ name: 'os', version: '1.2' });
    for (const bad of ['os', 'os@', '@1', 'OS@1', 'os@1@2', 'os@../1', 'os@.1', 'a/b@1', '']) {
      expect(() => parseReleaseReference(bad)).toThrow(expect.objectContaining({ code: 'usage' }));
    }
  });

  it('cannot be paths, whatever they are', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const check of [isName, isVersion]) if (check(text)) expect(text).toMatch(/^[^./][^/\0]*$/);
      }),
    );
  });
});

describe('a build record', () => {
  const pool = temporaryDirectory();
  const record: BuildRecord = {
    schema: 'osupd-build/1',
    name: 'os',
    version: '1',
    architecture: 'aarch64',
    image: { digest: D('a'), size: 4096 },
    objects: { count: 0, bytes: 0 },
    createdAt: '2030-01-31T23:59:59Z',
    annotations: { a: 'b' },
  };

  it('is read as it was written', async () => {
    await writeBuildRecord(pool, record);
    expect(await readBuildRecord(pool, { name: 'os', version: '1' })).toEqual(record);
  });

  it('that does not exist is not found, with the command that makes it', async () => {
    await expect(readBuildRecord(pool, { name: 'os', version: '2' })).rejects.toMatchObject({
      code: 'not-found',
      remedy: expect.stringContaining('osupd build'),
    });
  });
});
