/**
 * osupd's deltas beside those of other programs, on trees of Debian packages. README.md beside this file says how to run it.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { describeMachine, hasProgram, versionsOf } from './delta/machine.ts';
import type { Pair, Peer } from './delta/peer.ts';
import { allPeers, REFERENCE } from './delta/peers.ts';
import { Results } from './delta/results.ts';
import { formatTables } from './delta/table.ts';
import { buildTrees, parsePair, STANDARD_PAIRS } from './delta/trees.ts';

const USAGE = `Usage: node bench/delta.ts [options]

  --work DIR        results, trees and pools (default: /var/tmp/osupd-bench)
  --trees DIR       trees that are there already: DIR/NAME and DIR/NAME.tar (default: WORK/trees, built when missing)
  --pairs LIST      pairs of trees, OLD:NEW with commas between (default: ${STANDARD_PAIRS.join(',')})
  --peers LIST      programs with commas between (default: all that are installed)
  --osupd FILE      osupd's program (default: bin/osupd.js of this checkout, which must be built)
  --again           measure what has been measured before too
  --table           measure nothing: write the table of what has been measured
  --write FILE      the table's file (default: WORK/table.md)
`;

const INTRODUCTION = `# Benchmarks
Deltas between systems made of Debian packages: what a device downloads, and what making and applying it takes. Written by
\`node bench/delta.ts\`; [bench/README.md](../bench/README.md) says how to repeat it, and what the trees are.

Bytes are those of everything that a device without the new tree downloads. Memory is that of the largest process. Other load is what else
kept the machine's cores busy while the delta was generated: where it is not quiet, compare CPU times; where it was busy, no times are given. Every result was compared with the tree that it should be.
`;

const { values } = parseArgs({
  options: {
    work: { type: 'string', default: '/var/tmp/osupd-bench' },
    trees: { type: 'string' },
    pairs: { type: 'string', default: STANDARD_PAIRS.join(',') },
    peers: { type: 'string' },
    osupd: { type: 'string', default: join(import.meta.dirname, '../bin/osupd.js') },
    again: { type: 'boolean', default: false },
    table: { type: 'boolean', default: false },
    write: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const work = resolve(values.work);
const machine = describeMachine();
const results = new Results(join(work, 'results.jsonl'), machine);

if (values.help) process.stdout.write(USAGE);
else await main();

async function main(): Promise<void> {
  mkdirSync(work, { recursive: true });
  const trees = resolve(values.trees ?? join(work, 'trees'));
  const pairs = values.pairs.split(',').map((name) => parsePair(name, trees));
  const peers = choosePeers();
  let failed = 0;
  if (!values.table) {
    buildTrees(pairs, trees);
    for (const pair of pairs) for (const peer of peers) failed += (await measurePeer(pair, peer)) ? 0 : 1;
  }
  const all = pairs.map((pair) => {
    const found = results.of(pair.name);
    return { pair, results: peers.flatMap(({ name }) => found.get(name) ?? []) };
  });
  const tables = formatTables(
    all.filter((measurements) => measurements.results.length > 0),
    peers,
    REFERENCE,
  );
  const file = resolve(values.write ?? join(work, 'table.md'));
  writeFileSync(file, `${INTRODUCTION}\n${tables}`);
  process.stdout.write(`${tables}\n${file}\n`);
  if (failed > 0) process.exitCode = 1;
}

/** The peers that were asked for, or all whose programs are there. @throws Error for one that was asked for in vain. */
function choosePeers(): Peer[] {
  const peers = allPeers(resolve(values.osupd));
  const names = values.peers?.split(',') ?? peers.map(({ name }) => name);
  return names.flatMap((name) => {
    const peer = peers.find((one) => one.name === name.trim());
    if (peer === undefined) throw new Error(`no peer "${name}": ${peers.map((one) => one.name).join(', ')}`);
    const absent = Object.keys(peer.programs).filter((program) => !hasProgram(program));
    if (absent.length === 0 || values.table) return peer;
    const what = `${peer.name} needs ${absent.join(', ')}: apt-get install ${[...new Set(Object.values(peer.programs))].join(' ')}`;
    if (values.peers !== undefined) throw new Error(what);
    process.stderr.write(`left out: ${what}\n`);
    return [];
  });
}

/** False when it failed, which keeps no other peer from being measured. */
async function measurePeer(pair: Pair, peer: Peer): Promise<boolean> {
  const cache = join(work, 'cache', pair.name.replace(':', '--'));
  mkdirSync(cache, { recursive: true });
  const scratch = mkdtempSync(join(work, 'scratch-'));
  try {
    const before = results.of(pair.name).get(peer.name);
    const versions = versionsOf(peer);
    if (!values.again && before !== undefined && isDeepStrictEqual(before.versions, versions)) return true;
    process.stderr.write(`${pair.name} ${peer.name} …\n`);
    const outcome = await peer.measure(pair, { scratch, cache });
    results.add({ ...outcome, pair: pair.name, peer: peer.name, machine, versions, date: new Date().toISOString() });
    const { size, generation, application } = outcome;
    process.stderr.write(
      `${pair.name} ${peer.name}: ${size} bytes, ${generation.wall} s, applied in ${application.wall} s\n`,
    );
    return true;
  } catch (error) {
    process.stderr.write(`${pair.name} ${peer.name} failed: ${error instanceof Error ? error.message : error}\n`);
    return false;
  } finally {
    if (existsSync(scratch)) rmSync(scratch, { recursive: true, force: true });
  }
}
