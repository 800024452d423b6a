import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ControlDecoder, ControlEncoder } from '../../../src/delta/coding/control.ts';
import { LiteralDecoder, LiteralEncoder } from '../../../src/delta/coding/literal.ts';
import { MAX_CODED_NUMBER, NumberModel } from '../../../src/delta/coding/number-model.ts';
import { RangeDecoder, RangeEncoder } from '../../../src/delta/coding/range-coder.ts';
import { RecordModels } from '../../../src/delta/coding/record-models.ts';
import { ResidualDecoder, ResidualEncoder } from '../../../src/delta/coding/residual.ts';

const copies = fc.array(
  fc.record({
    predicted: fc.uint8Array({ maxLength: 3000 }),
    changes: fc.array(fc.record({ at: fc.nat(2999), by: fc.nat(255) }), { maxLength: 40 }),
    oldAt: fc.nat(100_000),
    projected: fc.boolean(),
  }),
  { maxLength: 12 },
);

describe.each([1, 5, 7])('coding at effort %i', (effort) => {
  const options = { effort, bytes: 1 << 20 };
  const models = () => new RecordModels(1 << 16);

  it('gives back the residuals of any copies', () => {
    fc.assert(
      fc.property(copies, (list) => {
        const encoder = new ResidualEncoder(models(), options);
        const classes = Uint8Array.from({ length: 60_000 }, (_, at) => (at * 7) & 255);
        const parts = list.map(({ predicted, changes, oldAt, projected }) => {
          const actual = predicted.slice();
          for (const { at, by } of changes) if (at < actual.length) actual[at]! += by;
          const context = { classes: projected ? classes : undefined, oldAt, newAt: 0 };
          encoder.add(predicted, actual, context);
          return { predicted, actual, context };
        });
        const decoder = new ResidualDecoder(encoder.finish(), models());
        for (const { predicted, actual, context } of parts) {
          const bytes = predicted.slice();
          decoder.next(bytes, context);
          expect(bytes).toEqual(actual);
        }
        decoder.finish();
      }),
      { numRuns: 40 },
    );
  });

  it('gives back any literals', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), fc.array(fc.nat(300)), (bytes, lengths) => {
        const encoder = new LiteralEncoder(models(), options);
        const ranges: [number, number][] = [];
        let at = 0;
        for (const length of lengths) {
          const to = Math.min(at + length, bytes.length);
          ranges.push([at, to]);
          encoder.add(bytes, at, to);
          at = Math.min(to + 10, bytes.length);
        }
        const decoder = new LiteralDecoder(encoder.finish(), models());
        const window = bytes.slice();
        for (const [from, to] of ranges) window.fill(0, from, to);
        for (const [from, to] of ranges) decoder.next(window, from, to);
        decoder.finish();
        expect(window).toEqual(bytes);
      }),
      { numRuns: 40 },
    );
  });

  it('gives back any control numbers', () => {
    const length = fc.oneof(fc.nat(20), fc.nat(5000), fc.integer({ min: 0, max: 0x7fffffff }));
    const seek = fc.oneof(
      fc.constant(0),
      fc.integer({ min: -3000, max: 3000 }),
      fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 }),
    );
    fc.assert(
      fc.property(fc.array(fc.record({ literal: length, copy: length, seek })), (list) => {
        const encoder = new ControlEncoder(models(), options);
        for (const { literal, copy, seek } of list) encoder.add(literal, copy, seek);
        const decoder = new ControlDecoder(encoder.finish(), models());
        for (const control of list) expect(decoder.next()).toEqual(control);
        decoder.finish();
      }),
    );
  });
});

describe('numbers', () => {
  it('are given back, whatever they are foretold by', () => {
    const number = fc.oneof(fc.nat(40), fc.nat(70_000), fc.integer({ min: 2 ** 31 - 2, max: MAX_CODED_NUMBER }));
    fc.assert(
      fc.property(fc.array(fc.tuple(number, fc.nat(3))), (list) => {
        const [encoder, written, read] = [new RangeEncoder(), new NumberModel(), new NumberModel()];
        for (const [value, context] of list) {
          written.setContexts(context, 0, context, value & 1);
          written.code(encoder, value);
        }
        const decoder = new RangeDecoder(encoder.finish(), 'numbers');
        for (const [value, context] of list) {
          read.setContexts(context, 0, context, value & 1);
          expect(read.code(decoder, 0)).toBe(value);
        }
        decoder.finish();
      }),
    );
  });

  it('may be bits and whole bytes by turns', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(255), fc.integer({ min: 1, max: 65_535 }), fc.nat(1))), (list) => {
        const encoder = new RangeEncoder();
        for (const [byte, one, bit] of list) {
          encoder.codeByte(byte);
          encoder.code(one, bit);
        }
        const decoder = new RangeDecoder(encoder.finish(), 'numbers');
        for (const [byte, one, bit] of list) expect([decoder.codeByte(0), decoder.code(one, 0)]).toEqual([byte, bit]);
        decoder.finish();
      }),
    );
  });
});
