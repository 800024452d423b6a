/**
 * Mounts. New ones are made detached, with the calls that Linux has for it since 5.2 (fsopen(2) and its relatives; mount_setattr(2) since 5.12), and
 * become visible in one step. Every error is an OsupdError with `facts.errno`; the kernel's own words on it are in the message.
 */
import { closeSync, readSync } from 'node:fs';
import { isSystemError, OsupdError } from '../core/errors.ts';
import { callError, cText, lastErrno, libc } from './libc.ts';

/** An option of a new mount: a flag, or a key with a string (at most 255 bytes) or a file descriptor. In the order given. */
export type MountOption = readonly [key: string, value?: string | number];

/** The longest string that {@link createMount} can hand to the kernel, in bytes of UTF-8. */
export const MAX_OPTION_BYTES = 255;

const FSOPEN_CLOEXEC = 1;
const FSCONFIG = { flag: 0, string: 1, descriptor: 5, create: 6 } as const;
const FSMOUNT_CLOEXEC = 1;
const ATTRIBUTE_READ_ONLY = 1;
const MOVE_FROM_EMPTY_PATH = 0x4;
const MOVE_BENEATH = 0x200;
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0o2000000;
const AT_RECURSIVE = 0x8000;
const AT_EMPTY_PATH = 0x1000;
const AT_FDCWD = -100;
const MS_READ_ONLY = 1;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const MS_PRIVATE = 1 << 18;

/** struct mount_attr: u64 attr_set, attr_clr, propagation, userns_fd. */
const makePrivate = Buffer.alloc(32);
makePrivate.writeUInt32LE(MS_PRIVATE, 16);

/**
 * Makes a mount that is attached nowhere; closing the descriptor without {@link attachMount} undoes it. It is read-only
 * unless `access` says otherwise.
 * @returns a descriptor of the mount; the tree can be read through `/proc/self/fd/N`.
 * @throws OsupdError `unsupported` when the kernel has no such file system, or this process may not mount; else what the errno says.
 */
export function createMount(
  type: string,
  options: readonly MountOption[],
  access: 'read-only' | 'writable' = 'read-only',
): number {
  const c = libc();
  const context = c.fsopen(cText(type), FSOPEN_CLOEXEC);
  if (context < 0) throw mountError(`opening file system ${type}`, lastErrno(), type);
  const configure = (command: number, key: string | null, value: string | null, aux: number) => {
    if (c.fsconfig(context, command, cTextOrNull(key), cTextOrNull(value), aux) === 0) return;
    const errno = lastErrno();
    const what = key === null ? `mounting ${type}` : `mount option ${value === null ? key : `${key}=${value}`}`;
    throw mountError(what, errno, type, readLog(context));
  };
  try {
    // The file system too, not just the mount: a read-only block device is not mounted otherwise.
    configure(FSCONFIG.flag, access === 'read-only' ? 'ro' : 'rw', null, 0);
    for (const [key, value] of options) {
      if (value === undefined) configure(FSCONFIG.flag, key, null, 0);
      else if (typeof value === 'number') configure(FSCONFIG.descriptor, key, null, value);
      else configure(FSCONFIG.string, key, value, 0);
    }
    configure(FSCONFIG.create, null, null, 0);
    const mount = c.fsmount(context, FSMOUNT_CLOEXEC, access === 'read-only' ? ATTRIBUTE_READ_ONLY : 0);
    if (mount < 0) throw mountError(`mounting ${type}`, lastErrno(), type, readLog(context));
    return mount;
  } finally {
    closeSync(context);
  }
}

function cTextOrNull(text: string | null): Buffer | null {
  return text === null ? null : cText(text);
}

/** The messages that the kernel keeps with a file system context: `e TEXT`, one a read. */
function readLog(context: number): string {
  const buffer = Buffer.alloc(4096);
  const lines: string[] = [];
  try {
    for (;;)
      lines.push(
        buffer
          .toString('utf8', 0, readSync(context, buffer))
          .trim()
          .replace(/^[ewi] /, ''),
      );
  } catch (error) {
    // ENODATA: no more messages, the usual end.
    if (!isSystemError(error, 'ENODATA')) throw error;
  }
  return lines.join('; ');
}

/**
 * Makes a detached mount visible at a directory: over everything that is mounted there, or beneath the topmost mount.
 * @param target absolute, without symlinks.
 * @throws OsupdError as the errno says; EINVAL with `beneath` where Linux is older than 6.5, or no mount is there.
 */
export function attachMount(mount: number, target: string, options: { readonly beneath?: boolean } = {}): void {
  const flags = MOVE_FROM_EMPTY_PATH | (options.beneath ? MOVE_BENEATH : 0);
  if (libc().moveMount(mount, cText(''), AT_FDCWD, cText(target), flags) < 0)
    throw mountError(options.beneath ? 'mounting beneath the mount' : 'mounting', lastErrno(), target);
}

/**
 * A detached copy of the mount at `path`, with all mounts below it if `recursive`. The copy is private: in the peer group of
 * the original, unmounting something there would unmount it here.
 */
export function cloneMount(path: string, options: { readonly recursive?: boolean } = {}): number {
  const c = libc();
  const recursive = options.recursive ? AT_RECURSIVE : 0;
  const mount = c.openTree(AT_FDCWD, cText(path), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive);
  if (mount < 0) throw mountError('copying the mount', lastErrno(), path);
  if (c.mountSetattr(mount, cText(''), AT_EMPTY_PATH | recursive, makePrivate, makePrivate.length) < 0) {
    const errno = lastErrno();
    closeSync(mount);
    throw mountError('making the copy of the mount private', errno, path);
  }
  return mount;
}

/** mount(2), read-only: the old call, for options that the new ones do not take on older kernels. */
export function mountAt(source: string, target: string, type: string, options: string): void {
  if (libc().mount(cText(source), cText(target), cText(type), MS_READ_ONLY, cText(options)) < 0)
    throw mountError(`mounting ${type} with options "${options}"`, lastErrno(), target);
}

/** Takes the topmost mount away from `path` at once; it lives on for the processes that use it. */
export function detachMount(path: string): void {
  if (libc().umount2(cText(path), MNT_DETACH | UMOUNT_NOFOLLOW) < 0) throw mountError('unmounting', lastErrno(), path);
}

/** Unmounts the topmost mount at `path`. @throws OsupdError with errno EBUSY while a process uses it. */
export function unmount(path: string): void {
  if (libc().umount2(cText(path), UMOUNT_NOFOLLOW) < 0) throw mountError('unmounting', lastErrno(), path);
}

function mountError(what: string, errno: string, where: string, log = ''): OsupdError {
  const facts = { errno };
  if (errno === 'EPERM') {
    return new OsupdError('unsupported', `${what}: this process may not mount; it needs root (CAP_SYS_ADMIN)`, {
      where,
      remedy: 'run it as root',
      facts,
    });
  }
  if (errno === 'ENOSYS') {
    return new OsupdError(
      'unsupported',
      `${what}: the mount API of Linux 5.2 is missing, or a seccomp filter bars it`,
      {
        where,
        facts,
      },
    );
  }
  if (errno === 'ENODEV') {
    return new OsupdError('unsupported', `${what}: this kernel has no such file system`, {
      where,
      remedy: 'load its kernel module, or use a kernel that has it',
      facts,
    });
  }
  return callError(log === '' ? what : `${what}: ${log}`, errno, { where });
}
