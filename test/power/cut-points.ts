/**
 * Loaded before a program (`node --import`): every change of the file system below OSUPD_TEST_DISK is a named fault point, on every
 * thread. Before point number OSUPD_TEST_CUT (from 0) the power of the disk goes: the file system shuts down without its
 * journal's open transaction (EXT4_IOC_SHUTDOWN), and the program with it. OSUPD_TEST_POINTS is a file of the points that were
 * passed, in lines of equal length.
 */
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import koffi from 'koffi';

const { OSUPD_TEST_DISK: disk = '', OSUPD_TEST_POINTS: log = '', OSUPD_TEST_CUT: cut = '' } = process.env;

/** EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH. */
const SHUTDOWN = 0x8004587d;
const NO_LOG_FLUSH = Buffer.from([2, 0, 0, 0]);

/** Calls with the place of the path that they change among their arguments. */
const BY_PATH: Readonly<Record<string, number>> = {
  chmodSync: 0,
  chownSync: 0,
  linkSync: 1,
  mkdirSync: 0,
  mkdtempSync: 0,
  renameSync: 1,
  rmSync: 0,
  rmdirSync: 0,
  symlinkSync: 1,
  unlinkSync: 0,
  writeFileSync: 0,
};
const PROMISED: Readonly<Record<string, number>> = { rename: 1, rm: 0, mkdir: 0 };

const { appendFileSync, fstatSync, openSync, closeSync, statSync, readlinkSync } = fs;
const ioctl = koffi.load(null).func('int ioctl(int fd, ulong request, void *value)');
const points = openSync(log, 'a');

/** Length of a line of the log. */
const LINE = 160;

function pass(call: string, path: string): void {
  if (!path.startsWith(disk)) return;
  const name = `${call} ${path.slice(disk.length + 1)}`;
  appendFileSync(points, `${name.slice(0, LINE - 1).padEnd(LINE - 1)}\n`);
  const number = fstatSync(points).size / LINE - 1;
  if (cut === '' || number < Number(cut)) return;
  const fd = openSync(disk, 'r');
  ioctl(fd, SHUTDOWN, NO_LOG_FLUSH);
  closeSync(fd);
  process.kill(process.pid, 'SIGKILL');
}

type Calls = Record<string, (...args: unknown[]) => unknown>;

function wrap(module: object, name: string, path: (args: readonly unknown[]) => string | undefined): void {
  const calls = module as Calls;
  const original = calls[name] as (...args: unknown[]) => unknown;
  calls[name] = (...args) => {
    const place = path(args);
    if (place !== undefined) pass(name, place);
    return original(...args);
  };
}

for (const [name, at] of Object.entries(BY_PATH)) wrap(fs, name, (args) => String(args[at]));
for (const [name, at] of Object.entries(PROMISED)) wrap(fsp, name, (args) => String(args[at]));
wrap(fs, 'fsyncSync', ([fd]) => readlinkSync(`/proc/self/fd/${fd}`));
// A directory is opened for reading before it, or its file system, is synced.
for (const module of [fs, fsp]) {
  wrap(module, module === fs ? 'openSync' : 'open', ([path, flags]) => {
    const reads = flags === undefined || flags === 'r' || (typeof flags === 'number' && (flags & 3) === 0);
    return !reads || isDirectory(String(path)) ? String(path) : undefined;
  });
}
syncBuiltinESMExports();

function isDirectory(path: string): boolean {
  return path.startsWith(disk) && (statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false);
}
