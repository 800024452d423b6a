import { createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OsupdError } from '../../src/core/errors.ts';
import type { ChannelRelease, RampPoint } from '../../src/repository/channel.ts';
import { checkRollout, rampAt, rampReaches, rolloutPosition } from '../../src/rollout/position.ts';

const MACHINE = '0123456789abcdef0123456789abcdef';
const at = (time: string) => new Date(time);

describe('the position of a device', () => {
  it('is the formula of the documentation', () => {
    const key = Buffer.from(MACHINE, 'hex');
    const machine = createHmac('sha256', key).update(Buffer.from('5f1c0b7c9d0e4c6aa7d2f3b1e8640957', 'hex')).digest();
    const text = Buffer.concat([Buffer.from('osupd-rollout/1\0'), machine, Buffer.from('\0stable\0os\x002')]);
    const expected = Number(createHash('sha256').update(text).digest().readBigUInt64BE(0)) / 2 ** 64;
    expect(rolloutPosition(`${MACHINE}\n`, 'stable', 'os', '2')).toBe(expected);
    // Pinned: a change of the formula would move every device of a running rollout.
    expect(expected).toBe(0.3189837620976351);
  });

  it('is spread evenly, and anew for each version', () => {
    const machines = Array.from({ length: 2000 }, (_, number) => number.toString(16).padStart(32, '0'));
    const positions = machines.map((machine) => rolloutPosition(machine, 'stable', 'os', '2'));
    const first = positions.filter((position) => position < 0.1).length;
    expect(first).toBeGreaterThan(150);
    expect(first).toBeLessThan(250);
    const again = machines.filter(
      (machine, index) => positions[index]! < 0.1 && rolloutPosition(machine, 'stable', 'os', '3') < 0.1,
    ).length;
    expect(again).toBeLessThan(50);
  });

  it('is the last where the machine has no identity', () => {
    for (const text of ['', 'uninitialized', 'XYZ']) expect(rolloutPosition(text, 'stable', 'os', '2')).toBe(1);
  });
});

const RAMP: RampPoint[] = [
  ['2030-01-01T00:00:00Z', 1],
  ['2030-01-02T00:00:00Z', 11],
  ['2030-01-03T00:00:00Z', 11],
  ['2030-01-03T12:00:00Z', 100],
];

describe('a ramp', () => {
  it.each([
    ['2029-12-31T23:59:59Z', 0],
    ['2030-01-01T00:00:00Z', 0.01],
    ['2030-01-01T12:00:00Z', 0.06],
    ['2030-01-02T12:00:00Z', 0.11],
    ['2030-01-03T06:00:00Z', 0.555],
    ['2030-01-03T12:00:00Z', 1],
    ['2040-01-01T00:00:00Z', 1],
  ])('at %s is at %d', (time, share) => {
    expect(rampAt(RAMP, at(time))).toBeCloseTo(share, 10);
  });

  it('without points takes everybody', () => {
    expect(rampAt([], at('2030-01-01T00:00:00Z'))).toBe(1);
  });

  it('says when it passes a position', () => {
    expect(rampReaches(RAMP, 0.06)?.toISOString()).toBe('2030-01-01T12:00:00.000Z');
    expect(rampReaches(RAMP, 0)?.toISOString()).toBe('2030-01-01T00:00:00.000Z');
    expect(rampReaches([['2030-01-01T00:00:00Z', 50]], 0.7)).toBeUndefined();
    fc.assert(
      fc.property(fc.double({ min: 0, max: 0.99, noNaN: true }), (position) => {
        const time = rampReaches(RAMP, position)!;
        expect(rampAt(RAMP, new Date(time.getTime() + 1000))).toBeGreaterThan(position);
        expect(rampAt(RAMP, new Date(time.getTime() - 1000))).toBeLessThanOrEqual(position);
      }),
    );
  });
});

describe('the gate', () => {
  const release: ChannelRelease = { version: '2', ramp: RAMP, halted: false, urgent: false };
  const gate = (changes: Partial<ChannelRelease>, position: number, time: string): string | undefined => {
    try {
      checkRollout({ ...release, ...changes }, position, at(time), 'os 2');
      return undefined;
    } catch (error) {
      const { code, facts, message } = error as OsupdError;
      return code === 'held-back' ? `${facts.gate}: ${message}` : code;
    }
  };

  it('opens when the ramp passes the position, and says when that will be', () => {
    expect(gate({}, 0.05, '2030-01-01T12:00:00Z')).toBeUndefined();
    expect(gate({}, 0.06, '2030-01-01T00:00:00Z')).toBe(
      'ramp: the rollout of os 2 is at 1.0 % and this device at 6.0 %: held back until about 2030-01-01T12:00:00Z',
    );
    expect(gate({}, 1, '2031-01-01T00:00:00Z')).toBeUndefined();
    expect(gate({ ramp: [] }, 1, '2030-01-01T00:00:00Z')).toBeUndefined();
  });

  it('is closed for all while the rollout is halted', () => {
    expect(gate({ halted: true }, 0, '2031-01-01T00:00:00Z')).toMatch(/^halted/);
  });
});
