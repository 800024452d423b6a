import { describe, expect, it } from 'vitest';
import { SectionCosts, storedBytes } from '../../../src/delta/sections/section-costs.ts';
import { formatSections } from '../../../src/delta/sections/section-table.ts';

const SECTIONS = { ends: [100, 300, 400], names: ['(headers)', '.text', '.data'] };
const members = [
  { kind: 'program', sections: SECTIONS },
  { kind: 'module', sections: { ends: [50], names: ['.text'] } },
];

function segmentOf(control: number, residual: number, literal: number) {
  const stream = (length: number) => new Uint8Array(length);
  return {
    size: 450,
    plan: stream(0),
    control: stream(control),
    residual: stream(residual),
    literal: stream(literal),
  };
}

/** A record of 1000 stored bytes: of the streams 60, 600 and 300, so 40 for plans and what is around them. */
function observed(): SectionCosts {
  const costs = new SectionCosts();
  const observer = costs.observe(members, 1000);
  observer.segment(segmentOf(60, 600, 300));
  observer.member([], 30);
  observer.control(0, { control: 40, residual: 0, literal: 0 });
  observer.literal(0, 200, { control: 40, residual: 0, literal: 150 });
  const predicted = new Uint8Array(200);
  const actual = new Uint8Array(200);
  // Three bytes of .text and one of .data.
  for (const at of [3, 50, 99, 100]) actual[at] = 1;
  observer.copy(200, predicted, actual, { control: 40, residual: 500, literal: 150 });
  observer.member([], 10);
  observer.control(0, { control: 60, residual: 500, literal: 150 });
  observer.literal(0, 50, { control: 60, residual: 500, literal: 300 });
  observer.segmentEnd();
  observer.finish();
  return costs;
}

describe('SectionCosts', () => {
  it('shares out every stored byte', () => {
    const { list } = observed();
    expect(list.reduce((sum, cost) => sum + storedBytes(cost), 0)).toBeCloseTo(1000, 6);
    for (const stream of ['plan', 'control', 'residual', 'literal'] as const)
      expect(list.reduce((sum, { stored }) => sum + stored[stream], 0)).toBeCloseTo(
        { plan: 40, control: 60, residual: 600, literal: 300 }[stream],
        6,
      );
  });

  it('counts content where it lies', () => {
    const { list } = observed();
    const of = (kind: string, section: string) => list.find((cost) => cost.kind === kind && cost.section === section);
    expect(of('program', '(headers)')).toMatchObject({ copied: 0, differing: 0, literal: 100 });
    expect(of('program', '.text')).toMatchObject({ copied: 100, differing: 3, literal: 100 });
    expect(of('program', '.data')).toMatchObject({ copied: 100, differing: 1, literal: 0 });
    expect(of('module', '.text')).toMatchObject({ copied: 0, differing: 0, literal: 50 });
  });

  it('gives differing bytes the cost of their copy, and literals that of theirs', () => {
    const { list } = observed();
    const of = (kind: string, section: string) => list.find((cost) => cost.kind === kind && cost.section === section)!;
    expect(of('program', '.text').stored.residual / of('program', '.data').stored.residual).toBeCloseTo(3, 0);
    expect(of('program', '(headers)').stored).toMatchObject({ plan: 0, control: 40, literal: 75 });
    expect(of('program', '(plans)').stored.plan).toBe(30);
    expect(of('module', '.text').stored).toMatchObject({ plan: 0, control: 20, literal: 150 });
    expect(list.map(storedBytes)).toEqual(list.map(storedBytes).toSorted((a, b) => b - a));
  });

  it('shares out streams of which the decoder has told nothing', () => {
    const costs = new SectionCosts();
    const observer = costs.observe(members, 100);
    observer.segment(segmentOf(10, 20, 30));
    observer.member([], 0);
    observer.control(0, { control: 0, residual: 0, literal: 0 });
    observer.literal(0, 200, { control: 0, residual: 0, literal: 0 });
    observer.copy(200, new Uint8Array(200), new Uint8Array(200), { control: 0, residual: 0, literal: 0 });
    observer.segmentEnd();
    observer.finish();
    expect(costs.list.reduce((sum, cost) => sum + storedBytes(cost), 0)).toBeCloseTo(100, 6);
  });

  it('counts a stream that nothing was read of with the plans', () => {
    const costs = new SectionCosts();
    const observer = costs.observe(members, 20);
    observer.segment(segmentOf(4, 5, 1));
    observer.member([], 3);
    observer.control(0, { control: 4, residual: 0, literal: 0 });
    observer.copy(0, new Uint8Array(400), new Uint8Array(400), { control: 4, residual: 5, literal: 0 });
    observer.segmentEnd();
    observer.finish();
    expect(costs.list.reduce((sum, cost) => sum + storedBytes(cost), 0)).toBeCloseTo(20, 6);
    expect(costs.list.find(({ section }) => section === '(plans)')?.stored.plan).toBe(11);
  });

  it('is a table of kinds, the largest first, with their sums', () => {
    const lines = [...formatSections(observed().list)];
    expect(lines[0]).toMatch(/^program +stored +residual +literals +control +plans +content +differing +new$/);
    expect(lines[1]).toMatch(/^ {2}\.text +/);
    expect(lines.at(-1)).toMatch(/^ {2}all kinds +1000 +600 +300 +60 +40 +450 +4 +250$/);
  });
});
