import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { OsupdError } from '../../src/core/errors.ts';
import { CountingSource } from '../../src/transport/counting.ts';
import { FileSource } from '../../src/transport/file.ts';
import { MirroredSource } from '../../src/transport/mirrors.ts';
import { openSource } from '../../src/transport/open.ts';
import { RateLimitedSource } from '../../src/transport/rate-limit.ts';
import { RetryingSource } from '../../src/transport/retry.ts';
import { networkError, type ReadOptions, type Source, stopped } from '../../src/transport/source.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { codeOf, pattern, readAll } from './conformance.ts';

const CONTENT = pattern(500_000);
const WHOLE = { maxBytes: CONTENT.length };

/** What a scripted source does with its next read: bytes to give, then how to fail (or not). */
type Step = { readonly bytes: number; readonly failure?: OsupdError };

/** A source that follows a script, then serves everything; keeps the reads it saw. */
class ScriptedSource implements Source {
  readonly location = 'test:';
  readonly seen: ReadOptions[] = [];
  readonly #steps: Step[];
  closed = false;

  constructor(steps: Step[]) {
    this.#steps = [...steps];
  }

  async *read(_path: string, options: ReadOptions): AsyncGenerator<Uint8Array> {
    this.seen.push(options);
    const { offset, length } = options.range ?? { offset: 0, length: Number.POSITIVE_INFINITY };
    const step = this.#steps.shift();
    const rest = CONTENT.subarray(offset, offset + length);
    const given = step === undefined ? rest : rest.subarray(0, step.bytes);
    // The buffer is spoiled after each step, as the contract allows.
    const chunk = Buffer.from(given);
    if (chunk.length > 0) yield chunk;
    chunk.fill(0);
    if (step?.failure !== undefined) throw step.failure;
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

const passing = networkError('cut', 'test:', { transient: true });
const lasting = networkError('bad certificate', 'test:', { transient: false });
const absent = new OsupdError('not-found', 'absent', { where: 'test:' });

function retrying(source: Source, options = {}): { source: RetryingSource; pauses: number[] } {
  const pauses: number[] = [];
  const wait = async (milliseconds: number) => void pauses.push(milliseconds);
  return { source: new RetryingSource(source, { random: () => 1, wait, ...options }), pauses };
}

describe('retries', () => {
  it('go on at the byte where the read broke off', async () => {
    const scripted = new ScriptedSource([
      { bytes: 100_000, failure: passing },
      { bytes: 0, failure: passing },
      { bytes: 1, failure: passing },
    ]);
    const { source } = retrying(scripted);
    expect((await readAll(source, 'x', WHOLE)).equals(CONTENT)).toBe(true);
    expect(scripted.seen.map((options) => options.range?.offset)).toEqual([undefined, 100_000, 100_000, 100_001]);
    expect(scripted.seen.at(-1)).toMatchObject({ maxBytes: CONTENT.length - 100_001 });
  });

  it('stay inside the range', async () => {
    const scripted = new ScriptedSource([{ bytes: 10, failure: passing }]);
    const range = { offset: 1000, length: 50 };
    const read = await readAll(retrying(scripted).source, 'x', { range, maxBytes: 50 });
    expect(read.equals(CONTENT.subarray(1000, 1050))).toBe(true);
    expect(scripted.seen[1]?.range).toEqual({ offset: 1010, length: 40 });
  });

  it('ask for the same version each time', async () => {
    const scripted = new ScriptedSource([{ bytes: 10, failure: passing }]);
    await readAll(retrying(scripted).source, 'x', WHOLE);
    expect(scripted.seen[0]?.version).toBeDefined();
    expect(scripted.seen[1]?.version).toBe(scripted.seen[0]?.version);
  });

  it('wait twice as long each time, as long as the server asks, never longer than allowed', async () => {
    const slow = networkError('503', 'test:', { transient: true, facts: { retryAfter: 9 } });
    const { source, pauses } = retrying(
      new ScriptedSource([
        { bytes: 0, failure: passing },
        { bytes: 0, failure: passing },
        { bytes: 0, failure: slow },
        { bytes: 0, failure: networkError('503', 'test:', { transient: true, facts: { retryAfter: 1e6 } }) },
      ]),
      { firstPause: 100, longestPause: 20_000 },
    );
    await readAll(source, 'x', WHOLE);
    expect(pauses).toEqual([100, 200, 9000, 20_000]);
  });

  it('give up after some attempts that brought nothing', async () => {
    const scripted = new ScriptedSource(Array.from({ length: 50 }, () => ({ bytes: 10, failure: passing })));
    expect(await codeOf(readAll(retrying(scripted).source, 'x', WHOLE))).toBe('network');
    expect(scripted.seen).toHaveLength(5);
  });

  it('do not give up while each attempt brings something', async () => {
    const scripted = new ScriptedSource(Array.from({ length: 7 }, () => ({ bytes: 65_536, failure: passing })));
    expect((await readAll(retrying(scripted).source, 'x', WHOLE)).equals(CONTENT)).toBe(true);
  });

  it.each([
    ['a failure that lasts', lasting],
    ['what does not exist', absent],
    ['a failed verification', new OsupdError('verification-failed', 'no')],
  ])('are not made for %s', async (_, error) => {
    const scripted = new ScriptedSource([{ bytes: 0, failure: error }]);
    expect(await codeOf(readAll(retrying(scripted).source, 'x', WHOLE))).toBe(error.code);
    expect(scripted.seen).toHaveLength(1);
  });

  it('end when the signal comes during a pause', async () => {
    const controller = new AbortController();
    const scripted = new ScriptedSource([{ bytes: 0, failure: passing }]);
    const source = new RetryingSource(scripted, { random: () => 1, firstPause: 60_000 });
    const read = codeOf(readAll(source, 'x', { ...WHOLE, signal: controller.signal }));
    setTimeout(() => controller.abort(), 5);
    expect(await read).toBe('interrupted');
  });
});

describe('mirrors', () => {
  it('take over in the middle of a read', async () => {
    const first = new ScriptedSource([{ bytes: 1234, failure: lasting }]);
    const second = new ScriptedSource([]);
    const source = new MirroredSource([first, second]);
    expect((await readAll(source, 'x', WHOLE)).equals(CONTENT)).toBe(true);
    expect(second.seen[0]?.range?.offset).toBe(1234);
  });

  it('are asked in turn, beginning with the one that served last', async () => {
    const first = new ScriptedSource([{ bytes: 0, failure: passing }]);
    const second = new ScriptedSource([]);
    const source = new MirroredSource([first, second]);
    await readAll(source, 'x', WHOLE);
    await readAll(source, 'x', WHOLE);
    expect([first.seen.length, second.seen.length]).toEqual([1, 2]);
  });

  it('keep their versions apart', async () => {
    const sources = [new ScriptedSource([{ bytes: 5, failure: passing }]), new ScriptedSource([])];
    await readAll(new MirroredSource(sources), 'x', { ...WHOLE, version: { etag: '"of nobody"' } });
    expect(sources.map((source) => source.seen[0]?.version)).toEqual([{}, {}]);
  });

  it('say not-found when one of them does not have it and the others are down', async () => {
    const source = new MirroredSource([
      new ScriptedSource([{ bytes: 0, failure: passing }]),
      new ScriptedSource([{ bytes: 0, failure: absent }]),
    ]);
    expect(await codeOf(readAll(source, 'x', WHOLE))).toBe('not-found');
  });

  it('make up for what one of them lacks', async () => {
    const source = new MirroredSource([
      new ScriptedSource([{ bytes: 0, failure: absent }]),
      new ScriptedSource([{ bytes: 0, failure: lasting }]),
      new ScriptedSource([]),
    ]);
    expect((await readAll(source, 'x', WHOLE)).equals(CONTENT)).toBe(true);
  });

  it('pass on a failed verification at once: another copy must not hide it', async () => {
    const second = new ScriptedSource([]);
    const refused = new OsupdError('verification-failed', 'too long');
    const source = new MirroredSource([new ScriptedSource([{ bytes: 0, failure: refused }]), second]);
    expect(await codeOf(readAll(source, 'x', WHOLE))).toBe('verification-failed');
    expect(second.seen).toHaveLength(0);
  });

  it('are closed together', async () => {
    const sources = [new ScriptedSource([]), new ScriptedSource([])];
    await new MirroredSource(sources).close();
    expect(sources.every((source) => source.closed)).toBe(true);
  });
});

/** A clock that moves only while somebody waits. */
function manualClock(start: number) {
  let time = start;
  return {
    now: () => time,
    wait: async (milliseconds: number) => {
      time += milliseconds;
    },
  };
}

describe('a rate limit', () => {
  it('takes as long as the bytes need, for all reads together', async () => {
    const clock = manualClock(0);
    const source = new RateLimitedSource(new ScriptedSource([]), 100_000, clock);
    await readAll(source, 'x', WHOLE);
    await readAll(source, 'x', WHOLE);
    // A million bytes at 100 kB/s, less the burst.
    expect(clock.now()).toBeCloseTo(9750, 0);
  });

  it('does not save up for later what was not used', async () => {
    const clock = manualClock(1e6);
    const source = new RateLimitedSource(new ScriptedSource([]), 100_000, clock);
    const began = clock.now();
    await readAll(source, 'x', WHOLE);
    expect(clock.now() - began).toBeCloseTo(4750, 0);
  });

  it('is left by the signal', async () => {
    const signal = AbortSignal.abort();
    const clock = {
      now: () => 0,
      wait: async (_: number, given: AbortSignal | undefined) => {
        if (given?.aborted) throw stopped(given);
      },
    };
    const source = new RateLimitedSource(new ScriptedSource([]), 1, clock);
    expect(await codeOf(readAll(source, 'x', { ...WHOLE, signal }))).toBe('interrupted');
  });
});

describe('a counter', () => {
  it('counts bytes and reads, also of reads that failed', async () => {
    const source = new CountingSource(new ScriptedSource([{ bytes: 100, failure: lasting }]));
    expect(await codeOf(readAll(source, 'x', WHOLE))).toBe('network');
    await readAll(source, 'x', WHOLE);
    expect([source.bytes, source.reads]).toEqual([CONTENT.length + 100, 2]);
  });
});

describe('openSource', () => {
  const options = { userAgent: 'osupd/test', random: () => 0 };

  it.each(['ftp://host/', 'relative/path', 'file://host/path', '', 'host:80'])('refuses %j', async (location) => {
    expect(await codeOf(openSource(location, options))).toBe('usage');
  });

  it('refuses an empty list', async () => {
    expect(await codeOf(openSource([], options))).toBe('usage');
  });

  it('takes paths and file: URLs with spaces', async () => {
    const directory = join(temporaryDirectoryOnce, 'a b');
    mkdirSync(directory);
    writeFileSync(join(directory, 'x'), 'content');
    for (const location of [directory, `file://${directory.replaceAll(' ', '%20')}/`]) {
      const source = await openSource(location, options);
      expect((await readAll(source, 'x', { maxBytes: 7 })).toString()).toBe('content');
      expect(source.location).toMatch(/^file:\/\/\/.*a%20b/);
    }
  });

  it('falls back from a web server to a directory', async () => {
    writeFileSync(join(temporaryDirectoryOnce, 'y'), 'content');
    const source = await openSource(['http://127.0.0.1:9/', temporaryDirectoryOnce], options);
    expect((await readAll(source, 'y', { maxBytes: 7 })).toString()).toBe('content');
  });
});

const temporaryDirectoryOnce = temporaryDirectory();

describe('a directory', () => {
  it('that is not there is a network error, not a missing file', async () => {
    const directory = join(temporaryDirectoryOnce, 'gone');
    mkdirSync(directory);
    const source = new FileSource(directory);
    expect(await codeOf(readAll(source, 'x', WHOLE))).toBe('not-found');
    rmSync(directory, { recursive: true });
    expect(await codeOf(readAll(source, 'x', WHOLE))).toBe('network');
  });

  it('does not wait for a fifo that has a name of the repository', async () => {
    const { execFileSync } = await import('node:child_process');
    execFileSync('mkfifo', [join(temporaryDirectoryOnce, 'fifo')]);
    expect(await codeOf(readAll(new FileSource(temporaryDirectoryOnce), 'fifo', WHOLE))).toBe('not-found');
  });
});
