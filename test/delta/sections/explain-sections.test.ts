import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { noProgress } from '../../../src/core/progress.ts';
import { type DeltaFile, openDeltaFile } from '../../../src/delta/delta-file.ts';
import { explainDelta } from '../../../src/delta/explain.ts';
import { explainSections } from '../../../src/delta/sections/explain-sections.ts';
import { storedBytes } from '../../../src/delta/sections/section-costs.ts';
import { sectionMapOf } from '../../../src/delta/sections/section-map.ts';
import type { Pool } from '../../../src/objects/pool.ts';
import { randomNumbers } from '../../helpers/mutate.ts';
import { runCommand } from '../../helpers/run-command.ts';
import { temporaryDirectory } from '../../helpers/temporary.ts';
import { addSystem, type MadeDelta, makeDelta, newPool, type System } from '../fixture.ts';

const directory = temporaryDirectory();
const SHELL = readFileSync('/bin/sh');
let pool: Pool;
let made: MadeDelta;
let delta: DeltaFile;

function systemOf(content: Buffer): System {
  return new Map([
    ['bin/sh', { type: 'file', content, mode: 0o755, time: 0, label: '' }],
    [
      'lib/liba.so.1',
      { type: 'file', content: Buffer.concat([content, Buffer.alloc(40)]), mode: 0o644, time: 0, label: '' },
    ],
  ]);
}

/** Many single bytes of the program's code are others, as where addresses have moved. */
function edited(): Buffer {
  const { ends, names } = sectionMapOf(SHELL);
  const text = names.indexOf('.text');
  const bytes = Buffer.from(SHELL);
  const random = randomNumbers(1);
  for (let at = ends[text - 1]! + 50; at < ends[text]!; at += 20 + Math.floor(random() * 100)) bytes[at]! += 0x40;
  return bytes;
}

beforeAll(async () => {
  pool = await newPool(directory);
  const sides = { from: [await addSystem(pool, systemOf(SHELL))], to: [await addSystem(pool, systemOf(edited()))] };
  made = await makeDelta(pool, sides, { effort: 7 });
  writeFileSync(join(directory, 'update.osd'), made.bytes);
  delta = await openDeltaFile(join(directory, 'update.osd'));
});

describe('explainSections', () => {
  it('shares out all stored bytes of difference records, most of them to what has changed', async () => {
    const costs = await explainSections(delta, pool, noProgress);
    const records = made.head.header.records.filter(({ codec }) => codec === 'difference');
    expect(records.length).toBeGreaterThan(0);
    const stored = records.reduce((sum, record) => sum + record.stored, 0);
    expect(costs.reduce((sum, cost) => sum + storedBytes(cost), 0)).toBeCloseTo(stored, 3);
    expect(costs[0]).toMatchObject({ section: '.text' });
    expect(storedBytes(costs[0]!)).toBeGreaterThan(stored / 3);
    const content = costs.reduce((sum, { copied, literal }) => sum + copied + literal, 0);
    expect(content).toBe(2 * SHELL.length + 40);
  });

  it('is a table on the command line, and rows with --json', async () => {
    const args = ['delta', 'explain', 'update.osd', '--sections'];
    const { stdout } = await runCommand([...args, '--pool', pool.directory], directory);
    expect(stdout).toMatch(/^program +stored +residual /m);
    expect(stdout).toMatch(/^ {2}\.text +\d+/m);
    expect(stdout).toMatch(/^ {2}all kinds +\d+/m);
    const json = await runCommand([...args, '--pool', pool.directory, '--json'], directory);
    expect(JSON.parse(json.stdout).sections).toContainEqual(
      expect.objectContaining({ kind: 'library', section: '.text', stored: expect.anything() }),
    );
    expect(await runCommand(args, directory)).toMatchObject({ status: 2 });
  });

  it('fails where the pool lacks an image', async () => {
    const empty = await newPool(directory);
    await expect(explainSections(delta, empty, noProgress)).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('explainDelta', () => {
  it('has a line for each segment of a difference record', async () => {
    const lines = await Array.fromAsync(explainDelta(delta));
    const segments = lines.filter((line) => line.startsWith('  segment '));
    expect(segments.length).toBeGreaterThan(0);
    for (const line of segments)
      expect(line).toMatch(
        /^ {2}segment 0 of \d+ bytes: plans \d+, control \d+( packed)?, residual \d+( packed)?, literal \d+( packed)? bytes; \d members?: .*on one base/,
      );
    expect(lines.indexOf(segments[0]!)).toBeGreaterThan(
      lines.findIndex((line) => /record \d+, \d+ bytes, codec difference: /.test(line)),
    );
  });
});
