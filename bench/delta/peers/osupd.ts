/** osupd itself, at some effort. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { measure, measureOutput } from '../measure.ts';
import { type Outcome, type Pair, type Part, type Peer, type Place, run } from '../peer.ts';

interface Made {
  readonly byKind: Readonly<Record<string, Part>>;
  readonly objects: { readonly count: number; readonly bytes: number };
  readonly head: { readonly size: number };
}

/** @param program of osupd: a JavaScript or TypeScript file. */
export function osupd(program: string, effort?: number): Peer {
  return {
    name: effort === undefined ? 'osupd' : `osupd, effort ${effort}`,
    description: `\`delta make\`${effort === undefined ? ' as it is by default' : ` --effort ${effort}`}; the whole file, with the change of the tree`,
    programs: {},
    version: () => run(process.execPath, program, '--version').trim(),
    measure: (pair, place) => measureOsupd([process.execPath, program], effort, pair, place),
  };
}

/** What is checked out, `-dirty` with changes; undefined without git. */
function commit(): string | undefined {
  try {
    return run('git', '-C', import.meta.dirname, 'describe', '--always', '--dirty').trim();
  } catch {
    // Not a checkout: the version must do.
    return undefined;
  }
}

function measureOsupd(
  osupdCommand: readonly string[],
  effort: number | undefined,
  { old, next }: Pair,
  { scratch, cache }: Place,
): Outcome {
  const command = (...args: readonly string[]) => [...osupdCommand, ...args, '--quiet'];
  const build = (directory: string, version: string, pool: string) => {
    const [node, ...args] = command('build', directory, '--name', 'os', '--version', version, '--pool', pool);
    run(node!, ...args);
  };
  const server = join(cache, 'osupd-pool');
  for (const [version, { directory }] of Object.entries({ 1: old, 2: next }))
    if (!existsSync(join(server, `builds/os/${version}.json`))) build(directory, version, server);
  const file = join(scratch, 'update.osd');
  const options = effort === undefined ? [] : ['--effort', String(effort)];
  const { usage: generation, stdout } = measureOutput(
    command('delta', 'make', '--json', '--pool', server, '--from', 'os@1', '--to', 'os@2', file, ...options),
  );
  const made = JSON.parse(stdout) as Made;
  const device = join(scratch, 'device');
  build(old.directory, '1', device);
  const application = measure(command('delta', 'apply', file, '--pool', device));
  const [node, ...fsck] = command('fsck', '--pool', device);
  run(node!, ...fsck);
  const size = statSync(file).size;
  const head = { objects: 0, raw: 0, stored: made.head.size };
  const checkedOut = commit();
  const note = checkedOut === undefined ? {} : { note: `commit ${checkedOut}` };
  return { size, generation, application, ...note, kinds: { ...made.byKind, 'names, modes, digests': head } };
}
