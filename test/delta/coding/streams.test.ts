import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OsupdError } from '../../../src/core/errors.ts';
import { ControlDecoder, ControlEncoder } from '../../../src/delta/coding/control.ts';
import { LiteralDecoder, LiteralEncoder } from '../../../src/delta/coding/literal.ts';
import { RecordModels } from '../../../src/delta/coding/record-models.ts';
import { ResidualDecoder, ResidualEncoder } from '../../../src/delta/coding/residual.ts';
import { RESIDUAL_BLOCK_BYTES } from '../../../src/delta/coding/residual-model.ts';
import { type Copy, copiesOf, numbers, wordsOf } from './sequences.ts';

const BYTES = 1 << 15;
const ADAPTIVE = { effort: 5, bytes: BYTES };
const PLAIN = { effort: 1, bytes: BYTES };

const classes = Uint8Array.from({ length: 10_000 }, (_, at) => (at >>> 5) & 0x77);

function encodeCopies(copies: readonly Copy[], models: RecordModels, options = ADAPTIVE): Uint8Array {
  const encoder = new ResidualEncoder(models, options);
  for (const { predicted, actual, oldAt } of copies) encoder.add(predicted, actual, { classes, oldAt, newAt: 0 });
  return encoder.finish();
}

function decodeCopies(stored: Uint8Array, copies: readonly Copy[], models: RecordModels): Uint8Array[] {
  const decoder = new ResidualDecoder(stored, models);
  const decoded = copies.map(({ predicted, oldAt }) => {
    const bytes = predicted.slice();
    decoder.next(bytes, { classes, oldAt, newAt: 0 });
    return bytes;
  });
  decoder.finish();
  return decoded;
}

function encodeLiterals(bytes: Uint8Array, options = ADAPTIVE): Uint8Array {
  const encoder = new LiteralEncoder(new RecordModels(BYTES), options);
  for (let at = 0; at < bytes.length; at += 300) encoder.add(bytes, at, Math.min(at + 270, bytes.length));
  return encoder.finish();
}

function decodeLiterals(stored: Uint8Array, bytes: Uint8Array): Uint8Array {
  const decoder = new LiteralDecoder(stored, new RecordModels(BYTES));
  const window = bytes.slice();
  for (let at = 0; at < bytes.length; at += 300) {
    const to = Math.min(at + 270, bytes.length);
    window.fill(0, at, to);
    decoder.next(window, at, to);
  }
  decoder.finish();
  return window;
}

const controls = Array.from({ length: 400 }, (_, index) => {
  const next = numbers(index);
  return { literal: next(40), copy: next(4000), seek: index % 3 === 0 ? 0 : next(100_000) - 50_000 };
});

function encodeControls(options = ADAPTIVE): Uint8Array {
  const encoder = new ControlEncoder(new RecordModels(BYTES), options);
  for (const { literal, copy, seek } of controls) encoder.add(literal, copy, seek);
  return encoder.finish();
}

function decodeControls(stored: Uint8Array): unknown {
  const decoder = new ControlDecoder(stored, new RecordModels(BYTES));
  const decoded = controls.map(() => decoder.next());
  decoder.finish();
  return decoded;
}

const copies = copiesOf(20, 1);
const literals = wordsOf(6000, 2);

const decodeAllCopies = (stored: Uint8Array) => decodeCopies(stored, copies, new RecordModels(BYTES));
const decodeAllLiterals = (stored: Uint8Array) => decodeLiterals(stored, literals);

/** Each kind of stream: stored bytes and what decodes them. */
const STREAMS: [string, Uint8Array, (stored: Uint8Array) => unknown][] = [
  ['residuals', encodeCopies(copies, new RecordModels(BYTES)), decodeAllCopies],
  ['literals', encodeLiterals(literals), decodeAllLiterals],
  ['controls', encodeControls(), decodeControls],
  ['plain residuals', encodeCopies(copies, new RecordModels(BYTES), PLAIN), decodeAllCopies],
  ['plain literals', encodeLiterals(literals, PLAIN), decodeAllLiterals],
  ['plain controls', encodeControls(PLAIN), decodeControls],
];

describe('a stream', () => {
  it.each(STREAMS)('of %s is refused wherever it is cut', (_, stored, decode) => {
    for (let length = 0; length < stored.length; length += 1 + (length >>> 4)) {
      expect(outcome(() => decode(stored.subarray(0, length)))).toBe('damaged-delta');
    }
  });

  it.each(STREAMS)('of %s is refused with bytes behind it', (_, stored, decode) => {
    expect(outcome(() => decode(Buffer.concat([stored, Uint8Array.of(1)])))).toBe('damaged-delta');
    expect(outcome(() => decode(Buffer.concat([stored, stored])))).toBe('damaged-delta');
  });

  it.each(STREAMS)('of %s that is damaged is refused, or gives something', (_, stored, decode) => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(stored.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const damaged = stored.slice();
          for (const [at, to] of changes) damaged[at] = to;
          expect(['damaged-delta', 'content']).toContain(outcome(() => decode(damaged)));
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each(STREAMS)('of %s may be anything', (_, _stored, decode) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(['damaged-delta', 'content']).toContain(outcome(() => decode(bytes)));
      }),
      { numRuns: 60 },
    );
  });

  it('is the same bytes for ever', () => {
    const digests = STREAMS.slice(0, 3).map(([name, stored]) => [name, stored.length, digest(stored)]);
    expect(digests).toEqual([
      ['residuals', 481, '0d1d80e52120d7b5'],
      ['literals', 1113, '75ff7ed9cc1dd0d3'],
      ['controls', 1260, '8dfb355bca7f058b'],
    ]);
  });

  it('goes on with what earlier ones of the record taught', () => {
    const [together, apart] = [new RecordModels(BYTES), new RecordModels(BYTES)];
    const first = encodeCopies(copies, together);
    const second = encodeCopies(copies, together);
    expect(second.length).toBeLessThan(first.length / 2);
    decodeCopies(first, copies, apart);
    expect(decodeCopies(second, copies, apart)).toEqual(copies.map(({ actual }) => actual));
  });

  it('teaches nothing where it is plain', () => {
    const [together, apart] = [new RecordModels(BYTES), new RecordModels(BYTES)];
    const streams = [ADAPTIVE, PLAIN, ADAPTIVE].map((options) => encodeCopies(copies, together, options));
    expect(streams[2]).toEqual(streams[0]);
    for (const stored of streams)
      expect(decodeCopies(stored, copies, apart)).toEqual(copies.map(({ actual }) => actual));
  });

  it('is plain where it would take too long', () => {
    const encoder = new LiteralEncoder(new RecordModels(BYTES), { effort: 5, bytes: 0 });
    const next = numbers(3);
    const long = Uint8Array.from({ length: 250_000 }, () => next(64));
    encoder.add(long, 0, long.length);
    const stored = encoder.finish();
    expect(stored[0]).toBe(1);
    const window = new Uint8Array(long.length);
    new LiteralDecoder(stored, new RecordModels(BYTES)).next(window, 0, window.length);
    expect(window).toEqual(long);
  });
});

describe('residuals', () => {
  it('are the same however copies are sliced', () => {
    for (const copy of copies) {
      const { predicted, actual, oldAt } = copy;
      const encoder = new ResidualEncoder(new RecordModels(BYTES), ADAPTIVE);
      for (let from = 0, to = 0; from < predicted.length; from = to) {
        to = Math.min(from + RESIDUAL_BLOCK_BYTES - ((oldAt + from) % RESIDUAL_BLOCK_BYTES), predicted.length);
        encoder.add(predicted.subarray(from, to), actual.subarray(from, to), {
          classes,
          oldAt: oldAt + from,
          newAt: from,
        });
      }
      expect(encoder.finish()).toEqual(encodeCopies([copy], new RecordModels(BYTES)));
    }
  });

  it('cost next to nothing where words change as they did before', () => {
    const predicted = Uint8Array.from({ length: 4096 }, (_, at) => (at & 3 ? 0 : (at >>> 2) & 63));
    const actual = predicted.map((byte, at) => (at & 3 ? byte : byte ^ 0x55));
    const copy = { predicted, actual, oldAt: 0 };
    const [once, often] = [[copy], Array.from({ length: 20 }, () => copy)];
    const added =
      encodeCopies(often, new RecordModels(BYTES)).length - encodeCopies(once, new RecordModels(BYTES)).length;
    expect(added).toBeLessThan(19 * 16);
  });

  it('cost next to nothing where nothing changed', () => {
    const same = wordsOf(1 << 20, 4);
    const encoder = new ResidualEncoder(new RecordModels(BYTES), ADAPTIVE);
    encoder.add(same, same.slice(), { classes: undefined, oldAt: 0, newAt: 0 });
    expect(encoder.finish().length).toBeLessThan(40);
  });
});

describe('literals', () => {
  it('of random bytes cost little more than their length', () => {
    const next = numbers(5);
    const random = Uint8Array.from({ length: 40_960 }, () => next(256));
    const encoder = new LiteralEncoder(new RecordModels(BYTES), ADAPTIVE);
    for (let at = 0; at < random.length; at += 512) encoder.add(random, at, at + 512);
    expect(encoder.finish().length).toBeLessThan(random.length * 1.01);
  });
});

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

function outcome(decode: () => unknown): string {
  try {
    decode();
    return 'content';
  } catch (error) {
    if (error instanceof OsupdError) return error.code;
    throw error;
  }
}
