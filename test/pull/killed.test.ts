import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isDigest } from '../../src/core/digest.ts';
import { Pool } from '../../src/objects/pool.ts';
import { objectPath } from '../../src/repository/layout.ts';
import { runCommand } from '../helpers/run-command.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { content, poolProblems, TestSite, versionOf } from './fixture.ts';

const PROGRAM = resolve(import.meta.dirname, '../helpers/osupd-from-source.ts');
const ROUNDS = 12 * Number(process.env.OSUPD_TEST_SCALE ?? 1);

const base = temporaryDirectory();
let site: TestSite;
/** A root that has os@1; each round begins with a copy of it. */
let template: string;

beforeAll(async () => {
  site = await TestSite.create(base);
  const large = (version: number) => ({ large: content('large', version, 1_500_000) });
  await site.release('os@1', { ...versionOf(1, 60, 40), ...large(1) });
  await site.release('os@2', { ...versionOf(2, 60, 40), ...large(2) });
  await site.channel('os@1');
  template = join(base, 'template');
  const trust = join(site.repository.directory, 'metadata/1.root.json');
  const url = site.server.url;
  expect(await runCommand(['init', '--root', template, '--url', url, '--trust', trust])).toMatchObject({ status: 0 });
  expect(await runCommand(['pull', '--root', template])).toMatchObject({ status: 0 });
  await site.channel('os@2');
});
afterAll(() => site.server.close());

function startPull(root: string, ...options: string[]): { child: ChildProcess; ended: Promise<number | null> } {
  const child = spawn(process.execPath, [PROGRAM, 'pull', '--root', root, '-q', ...options], { stdio: 'ignore' });
  return { child, ended: new Promise((done) => child.once('exit', (status) => done(status))) };
}

/** A sorted list of every object and image of a pool. */
async function contents(directory: string): Promise<string[]> {
  const pool = await Pool.open(directory);
  const objects: string[] = [];
  for await (const { digest, size } of pool.listObjects()) objects.push(`${digest} ${size}`);
  return [...objects, ...(await pool.listImages())];
}

/** Files of the repository that hold objects which the device has finished: in its pool, or staged under their names. */
function finishedObjects(root: string): Set<string> {
  const found = new Set<string>();
  const walk = (directory: string) => {
    for (const name of readdirSync(directory)) {
      const path = join(directory, name);
      if (statSync(path).isDirectory()) walk(path);
      const digest = path
        .slice(root.length)
        .replaceAll('/', '')
        .match(/[0-9a-f]{64}$/)?.[0];
      if (digest !== undefined && isDigest(digest)) found.add(objectPath(digest));
    }
  };
  walk(join(root, 'objects'));
  walk(join(root, 'staging'));
  return found;
}

describe('a pull that is killed', () => {
  it(
    'at any instant goes on from what it had finished, and ends in the same pool',
    async () => {
      const whole = join(base, 'whole');
      cpSync(template, whole, { recursive: true });
      const began = performance.now();
      expect(await startPull(whole, '--limit-rate', '3M').ended).toBe(0);
      const duration = performance.now() - began;
      const expected = await contents(whole);

      for (let round = 0; round < ROUNDS; round++) {
        const root = mkdtempSync(join(base, 'killed-'));
        cpSync(template, root, { recursive: true });
        const instants: number[] = [];
        // One kill, or several in a row.
        for (let kill = 0; kill <= round % 3; kill++) {
          const { child, ended } = startPull(root, '--limit-rate', '3M');
          const instant = Math.random() * duration * 1.05;
          instants.push(Math.round(instant));
          await Promise.race([pause(instant), ended]);
          child.kill('SIGKILL');
          await ended;
          const problems = await poolProblems(await Pool.open(root));
          expect(problems, `after kills at ${instants} ms`).toEqual([]);
          const finished = finishedObjects(root);
          site.server.log.length = 0;
          if (kill < round % 3) continue;
          const status = await startPull(root).ended;
          expect([0, 3], `after kills at ${instants} ms`).toContain(status);
          const again = site.contentRequests().filter((path) => finished.has(path));
          expect(again, `fetched again after kills at ${instants} ms`).toEqual([]);
        }
        expect(await contents(root), `after kills at ${instants} ms`).toEqual(expected);
        expect(readdirSync(join(root, 'staging')).filter((name) => name !== 'lock')).toEqual([]);
        expect(readdirSync(join(root, 'trust')).filter((name) => name.startsWith('.'))).toEqual([]);
      }
    },
    60_000 + ROUNDS * 6000,
  );

  it('by SIGINT says so, keeps what it has, and goes on', async () => {
    const root = mkdtempSync(join(base, 'interrupted-'));
    cpSync(template, root, { recursive: true });
    site.server.log.length = 0;
    const { child, ended } = startPull(root, '--limit-rate', '500k');
    while (site.contentRequests().filter((path) => path.startsWith('objects/')).length < 12) await pause(5);
    child.kill('SIGINT');
    expect(await ended).toBe(1);
    expect(await poolProblems(await Pool.open(root))).toEqual([]);
    expect(readdirSync(join(root, 'staging')).filter((name) => name.startsWith('batch-'))).toEqual([]);
    const finished = finishedObjects(root);
    site.server.log.length = 0;
    expect(await startPull(root).ended).toBe(0);
    expect(site.contentRequests().filter((path) => finished.has(path))).toEqual([]);
  });
});
