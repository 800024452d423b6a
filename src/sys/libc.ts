/**
 * The C library of the running process through koffi: the calls that Node does not have. Loaded when first needed, so
 * that commands without such calls do not pay for it (10 to 30 ms).
 *
 * Works with glibc and musl: the functions below are in both, and what is not (the mount API) goes through syscall(2),
 * whose numbers from 424 on are the same on every architecture. ioctl numbers are those of x86-64, arm64 and riscv64.
 */
import { createRequire } from 'node:module';
import type { ByteString } from '../core/bytes.ts';
import { type ErrorDetails, isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';

type Koffi = typeof import('koffi');

/** NUL-terminated bytes, a buffer that the call fills, or NULL. */
type Bytes = Uint8Array | null;

/** System calls in their C form; all give -1 and set errno on failure. */
export interface Libc {
  llistxattr(path: Bytes, list: Bytes, size: number): number;
  lgetxattr(path: Bytes, name: Bytes, value: Bytes, size: number): number;
  lsetxattr(path: Bytes, name: Bytes, value: Bytes, size: number, flags: number): number;
  flock(fd: number, operation: number): number;
  syncfs(fd: number): number;
  /** ioctl(2) with a pointer. */
  ioctl(fd: number, request: number, argument: Bytes): number;
  /** ioctl(2) with a number in place of the pointer. */
  ioctlNumber(fd: number, request: number, argument: number): number;
  mount(source: Bytes, target: Bytes, type: Bytes, flags: number, options: Bytes): number;
  umount2(target: Bytes, flags: number): number;
  /** fcntl(2) with a number as its argument. */
  fcntl(fd: number, command: number, argument: number): number;
  fsopen(type: Bytes, flags: number): number;
  fsconfig(fd: number, command: number, key: Bytes, value: Bytes, aux: number): number;
  fsmount(fd: number, flags: number, attributes: number): number;
  moveMount(fromFd: number, fromPath: Bytes, toFd: number, toPath: Bytes, flags: number): number;
  openTree(directory: number, path: Bytes, flags: number): number;
  mountSetattr(directory: number, path: Bytes, flags: number, attributes: Bytes, size: number): number;
  /** mknodat(2); `device` in the kernel's encoding of 32 bits. */
  mknodat(directory: number, path: Bytes, mode: number, device: number): number;
  renameat2(oldDirectory: number, oldPath: Bytes, newDirectory: number, newPath: Bytes, flags: number): number;
  utimensat(directory: number, path: Bytes, times: Bytes, flags: number): number;
  /** ioprio_set(2); -1 also on a machine whose number of the call is not known. */
  ioprioSet(which: number, who: number, priority: number): number;
  /** Of glibc alone; gives 1, or 0 on failure. */
  readonly mallopt: ((parameter: number, value: number) => number) | undefined;
  /** Of glibc alone; gives 1 when memory went back to the system. */
  readonly mallocTrim: ((pad: number) => number) | undefined;
}

/** System call numbers; from 424 on they are equal on all architectures. */
const CALL = { openTree: 428, moveMount: 429, fsopen: 430, fsconfig: 431, fsmount: 432, mountSetattr: 442 } as const;

/** ioprio_set(2) has no function in the C library, and a number for each architecture. */
const IOPRIO_SET: Readonly<Partial<Record<NodeJS.Architecture, number>>> = { x64: 251, arm64: 30, riscv64: 30 };

/** Calls that older C libraries have no function for, and that have a number for each architecture; arm64 has those of all newer ones. */
const GENERIC_CALLS = { mknodat: 33, renameat2: 276 };
const ARCHITECTURE_CALLS: Readonly<Partial<Record<NodeJS.Architecture, typeof GENERIC_CALLS>>> = {
  x64: { mknodat: 259, renameat2: 316 },
};

let koffi: Koffi | undefined;
let functions: Libc | undefined;
let names: Map<number, string> | undefined;
let strerror: ((errno: number) => string) | undefined;

/**
 * The calls. @throws OsupdError `unsupported` where the native call library has no build for this machine.
 */
export function libc(): Libc {
  functions ??= load();
  return functions;
}

function load(): Libc {
  try {
    koffi = createRequire(import.meta.url)('koffi') as Koffi;
  } catch (cause) {
    throw new OsupdError('unsupported', 'system calls are not available: the koffi library cannot be loaded', {
      remedy: 'install osupd with its optional dependencies, on x86-64 or arm64',
      cause,
    });
  }
  const library = koffi.load(null);
  strerror = library.func('str strerror(int errno)') as unknown as (errno: number) => string;
  const bytes = 'const uint8_t *';
  const call = (args: string) => library.func(`long syscall(long number, ${args})`);
  const fsopen = call(`${bytes} type, long flags`);
  const fsconfig = call(`long fd, long command, ${bytes} key, ${bytes} value, long aux`);
  const fsmount = call('long fd, long flags, long attributes');
  const moveMount = call(`long fromFd, ${bytes} fromPath, long toFd, ${bytes} toPath, long flags`);
  const mountSetattr = call(`long directory, ${bytes} path, long flags, ${bytes} attributes, long size`);
  const ioprioSet = call('long which, long who, long priority');
  const openTree = call(`long directory, ${bytes} path, long flags`);
  const numbers = ARCHITECTURE_CALLS[process.arch] ?? GENERIC_CALLS;
  const mknodat = call(`long directory, ${bytes} path, long mode, ulong device`);
  const renameat2 = call(`long oldDirectory, ${bytes} oldPath, long newDirectory, ${bytes} newPath, long flags`);
  return {
    llistxattr: library.func(`long llistxattr(${bytes} path, ${bytes} list, size_t size)`),
    lgetxattr: library.func(`long lgetxattr(${bytes} path, ${bytes} name, ${bytes} value, size_t size)`),
    lsetxattr: library.func(`int lsetxattr(${bytes} path, ${bytes} name, ${bytes} value, size_t size, int flags)`),
    flock: library.func('int flock(int fd, int operation)'),
    syncfs: library.func('int syncfs(int fd)'),
    ioctl: library.func(`int ioctl(int fd, ulong request, ${bytes} argument)`),
    ioctlNumber: library.func('int ioctl(int fd, ulong request, long argument)'),
    mount: library.func(`int mount(${bytes} source, ${bytes} target, ${bytes} type, ulong flags, ${bytes} options)`),
    umount2: library.func(`int umount2(${bytes} target, int flags)`),
    fcntl: library.func('int fcntl(int fd, int command, long argument)'),
    fsopen: (type, flags) => Number(fsopen(CALL.fsopen, type, flags)),
    fsconfig: (fd, command, key, value, aux) => Number(fsconfig(CALL.fsconfig, fd, command, key, value, aux)),
    fsmount: (fd, flags, attributes) => Number(fsmount(CALL.fsmount, fd, flags, attributes)),
    moveMount: (fromFd, fromPath, toFd, toPath, flags) =>
      Number(moveMount(CALL.moveMount, fromFd, fromPath, toFd, toPath, flags)),
    ioprioSet: (which, who, priority) => {
      const number = IOPRIO_SET[process.arch];
      return number === undefined ? -1 : Number(ioprioSet(number, which, who, priority));
    },
    ...(isGlibc(library)
      ? {
          mallopt: library.func('int mallopt(int parameter, int value)'),
          mallocTrim: library.func('int malloc_trim(size_t pad)'),
        }
      : { mallopt: undefined, mallocTrim: undefined }),
    mknodat: (directory, path, mode, device) => Number(mknodat(numbers.mknodat, directory, path, mode, device)),
    renameat2: (oldDirectory, oldPath, newDirectory, newPath, flags) =>
      Number(renameat2(numbers.renameat2, oldDirectory, oldPath, newDirectory, newPath, flags)),
    utimensat: library.func(`int utimensat(int directory, ${bytes} path, ${bytes} times, int flags)`),
    openTree: (directory, path, flags) => Number(openTree(CALL.openTree, directory, path, flags)),
    mountSetattr: (directory, path, flags, attributes, size) =>
      Number(mountSetattr(CALL.mountSetattr, directory, path, flags, attributes, size)),
  };
}

/** musl has neither this function nor the tuning that it stands for. */
function isGlibc(library: ReturnType<Koffi['load']>): boolean {
  try {
    library.func('const char *gnu_get_libc_version()');
    return true;
  } catch (error) {
    if (error instanceof Error && /gnu_get_libc_version/.test(error.message)) return false;
    throw error;
  }
}

/** Where the first byte of a buffer is in memory. */
export function addressOf(buffer: Uint8Array): bigint {
  libc();
  return (koffi as Koffi).address(buffer);
}

/** Name of the error of the last failed call (`ENODATA`). Ask at once: any later call may change it. */
export function lastErrno(): string {
  const number = koffi?.errno() ?? 0;
  names ??= namesByNumber();
  return names.get(number) ?? `errno ${number}`;
}

function namesByNumber(): Map<number, string> {
  const byNumber = new Map(Object.entries(koffi?.os.errno ?? {}).map(([name, number]) => [number, name]));
  // Numbers with two names: the one that kernel sources and manuals use.
  for (const name of ['EAGAIN', 'EOPNOTSUPP', 'EDEADLK']) byNumber.set(koffi?.os.errno[name] ?? 0, name);
  return byNumber;
}

/**
 * The error of a call that failed with `errno` (a name, as {@link lastErrno} gives it): the code that fits, the name in
 * `facts.errno`.
 */
export function callError(call: string, errno: string, details: ErrorDetails = {}): OsupdError {
  const number = koffi?.os.errno[errno];
  const why = number === undefined ? errno : `${strerror?.(number) ?? 'failed'} (${errno})`;
  const cause = Object.assign(new Error(`${call}: ${why}`), { code: errno, syscall: call });
  return new OsupdError(toOsupdError(cause).code, cause.message, {
    ...details,
    facts: { ...details.facts, errno },
    cause: details.cause ?? cause,
  });
}

/** Name of the system error behind an error of this folder or of Node; undefined when there is none. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof OsupdError && typeof error.facts.errno === 'string') return error.facts.errno;
  return isSystemError(error) ? error.code : undefined;
}

/** A byte string as C wants it: its bytes and a NUL. */
export function cString(text: ByteString): Buffer {
  return Buffer.from(`${text}\0`, 'latin1');
}

/** A text as C wants it: UTF-8 and a NUL. */
export function cText(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf8');
}
