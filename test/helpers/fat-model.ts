/**
 * What a power cut can leave of a FAT that is being changed. FAT has no journal, and the kernel writes sectors in any order: what
 * happened since the last sync may be on the disk in part, each name, each chain of clusters and each content on its own.
 *
 * A change of a file system is several such writes, as the vfat driver of Linux makes them (fs/fat/namei_vfat.c, fs/fat/file.c):
 *
 *     create     a name, with no clusters and length 0
 *     write      clusters are allocated; their content; start and length in the name
 *     rename     the new name, with no clusters; start and length in it; the old name goes
 *     remove     the name goes; its clusters are free
 *
 * A test replaces `node:fs` and the sync by recorded ones, runs an operation, and looks at every disk that a cut could leave.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

/** A name in a directory; undefined where there is none. */
interface Name {
  readonly chain: number;
  readonly size: number;
}

/** One write to the disk: the new value of one of its parts. */
interface Write {
  readonly part: string;
  readonly value: Name | Buffer | boolean | undefined;
}

type Step = { readonly writes: readonly Write[] } | 'sync';

interface Recording {
  partition: string;
  steps: Step[];
  chains: number;
  names: Map<string, Name>;
  open: Map<number, string>;
  contents: Map<number, Buffer>;
}

// The helper is loaded once for the mocks and once for the test file: what they share hangs on the process.
const shared = globalThis as { fatRecording?: Recording | undefined };

function inside(path: unknown): string | undefined {
  const recording = shared.fatRecording;
  if (recording === undefined || typeof path !== 'string' || !path.startsWith(`${recording.partition}/`))
    return undefined;
  return relative(recording.partition, path);
}

/** A module of the runtime whose changes of the partition are recorded. */
export function recorded<Module extends object>(module: Module): Module {
  const original = module as Record<string, (...args: never[]) => unknown>;
  const call = (name: string, args: unknown[]) => original[name]?.(...(args as never[]));
  const record = (writes: Write[]) => shared.fatRecording?.steps.push({ writes });
  return {
    ...module,
    openSync: (...args: unknown[]) => {
      const fd = call('openSync', args) as number;
      const name = inside(args[0]);
      if (name !== undefined && args[1] === 'wx') {
        const { open, names } = shared.fatRecording as Recording;
        open.set(fd, name);
        names.set(name, { chain: 0, size: 0 });
        record([{ part: `name ${name}`, value: { chain: 0, size: 0 } }]);
      }
      return fd;
    },
    closeSync: (...args: unknown[]) => {
      shared.fatRecording?.open.delete(args[0] as number);
      return call('closeSync', args);
    },
    writeSync: (...args: unknown[]) => {
      const written = call('writeSync', args) as number;
      const recording = shared.fatRecording;
      const name = recording?.open.get(args[0] as number);
      if (recording !== undefined && name !== undefined) {
        const [, bytes, offset = 0] = args as [number, Buffer, number];
        const old = recording.names.get(name) as Name;
        const chain = old.chain === 0 ? ++recording.chains : old.chain;
        const before = recording.contents.get(chain) ?? Buffer.alloc(0);
        const content = Buffer.concat([before, bytes.subarray(offset, offset + written)]);
        recording.contents.set(chain, content);
        const value = { chain, size: content.length };
        recording.names.set(name, value);
        record([
          { part: `chain ${chain}`, value: true },
          { part: `content ${chain}`, value: content },
          { part: `name ${name}`, value },
        ]);
      }
      return written;
    },
    renameSync: (...args: unknown[]) => {
      const [from, to] = [inside(args[0]), inside(args[1])];
      call('renameSync', args);
      const names = shared.fatRecording?.names;
      if (from === undefined || to === undefined || names === undefined) return;
      if (names.has(to)) throw new Error(`${to} was there: a rename over a name is not safe on FAT`);
      const value = names.get(from);
      if (value === undefined) throw new Error(`${from} is not known`);
      names.delete(from);
      names.set(to, value);
      record([
        { part: `name ${to}`, value: { chain: 0, size: 0 } },
        { part: `name ${to}`, value },
        { part: `name ${from}`, value: undefined },
      ]);
    },
    rmSync: (...args: unknown[]) => {
      call('rmSync', args);
      const path = inside(args[0]);
      const names = shared.fatRecording?.names;
      if (path === undefined || names === undefined) return;
      for (const [name, { chain }] of [...names]) {
        if (name !== path && !name.startsWith(`${path}/`)) continue;
        names.delete(name);
        record([
          { part: `name ${name}`, value: undefined },
          { part: `chain ${chain}`, value: false },
        ]);
      }
    },
  };
}

/** To be called when everything is on the disk. */
export function recordSync(path: string): void {
  const recording = shared.fatRecording;
  if (recording !== undefined && path.startsWith(recording.partition)) recording.steps.push('sync');
}

/** A disk after a cut, as a boot loader sees it. */
export interface CutDisk {
  /** Names of files in a directory. */
  list(directory: string): string[];
  /** Content of a file; `undefined` where there is none, `garbage` where its clusters are free or hold something else. */
  read(path: string): Buffer | 'garbage' | undefined;
}

class Disk implements CutDisk {
  readonly parts: Map<string, Write['value']>;

  constructor(parts: Map<string, Write['value']>) {
    this.parts = parts;
  }

  list(directory: string): string[] {
    const prefix = `name ${directory}/`;
    return [...this.parts].flatMap(([part, value]) =>
      part.startsWith(prefix) && value !== undefined && !part.slice(prefix.length).includes('/')
        ? [part.slice(prefix.length)]
        : [],
    );
  }

  read(path: string): Buffer | 'garbage' | undefined {
    const name = this.parts.get(`name ${path}`) as Name | undefined;
    if (name === undefined || name.size === 0) return name && Buffer.alloc(0);
    const content = this.parts.get(`content ${name.chain}`);
    const isWhole = this.parts.get(`chain ${name.chain}`) === true && Buffer.isBuffer(content);
    return isWhole && content.length >= name.size ? content.subarray(0, name.size) : 'garbage';
  }
}

/**
 * Runs an operation and gives disks that a cut could leave: before each step nothing of what is not synced, all of it, and random parts.
 * @param samples random parts for each step. @param random numbers from 0 to 1.
 */
export async function cutDisks(
  partition: string,
  run: () => Promise<unknown>,
  samples: number,
  random: () => number,
): Promise<{ readonly disks: CutDisk[]; readonly after: CutDisk; readonly steps: number }> {
  const recording: Recording = {
    ...{ partition, steps: [], chains: 0 },
    ...{ names: new Map(), open: new Map(), contents: new Map() },
  };
  const base = new Map<string, Write['value']>();
  for (const entry of readdirSync(partition, { recursive: true, encoding: 'utf8' })) {
    const path = join(partition, entry);
    if (!statSync(path).isFile()) continue;
    const content = readFileSync(path);
    const chain = ++recording.chains;
    const value = { chain: content.length === 0 ? 0 : chain, size: content.length };
    recording.names.set(entry, value);
    base.set(`name ${entry}`, value).set(`chain ${chain}`, true).set(`content ${chain}`, content);
  }
  shared.fatRecording = recording;
  try {
    await run();
  } finally {
    shared.fatRecording = undefined;
  }
  const disks: CutDisk[] = [];
  let pending: Write[] = [];
  for (const step of recording.steps) {
    if (step === 'sync') {
      for (const { part, value } of pending) base.set(part, value);
      pending = [];
      continue;
    }
    if (step.writes.some(({ part, value }) => part.startsWith('chain') && value === true)) refuseReuse(pending);
    pending.push(...step.writes);
    const writes = pending;
    disks.push(
      new Disk(new Map(base)),
      partOf(base, writes, () => 1),
    );
    for (let sample = 0; sample < samples; sample++) disks.push(partOf(base, writes, random));
  }
  if (pending.length > 0) throw new Error('the operation ends before everything is on the disk');
  return { disks, after: new Disk(base), steps: recording.steps.filter((step) => step !== 'sync').length };
}

/** Clusters that are free, but not on the disk, may get new content under an old name. */
function refuseReuse(pending: readonly Write[]): void {
  if (pending.some(({ part, value }) => part.startsWith('chain') && value === false))
    throw new Error('something is written before a removal is on the disk');
}

/** Of each part of the disk one of its values since the last sync, or the one before. */
function partOf(base: ReadonlyMap<string, Write['value']>, writes: readonly Write[], random: () => number): Disk {
  const disk = new Map(base);
  const parts = new Map<string, Write['value'][]>();
  for (const { part, value } of writes) parts.set(part, [...(parts.get(part) ?? []), value]);
  for (const [part, values] of parts) {
    const at = Math.floor(random() * (values.length + 1) - 1e-9);
    const chosen = Math.min(at, values.length) - 1;
    if (chosen >= 0) disk.set(part, values[chosen]);
  }
  return new Disk(disk);
}
