/** Mounts of a test that nobody else sees. Needs root. */
import koffi from 'koffi';

const CLONE_NEWNS = 0x20000;
const MS_REC = 0x4000;
const PROPAGATION = { private: 1 << 18, shared: 1 << 20 };

let inside = false;

/**
 * Moves this process's main thread, and every process that it starts from now on, into a mount namespace of its own, which
 * goes away with them. Synchronous calls of node:fs see its mounts; those of node:fs/promises do not, for they run on other threads.
 * @param propagation `shared`: mounts show in namespaces that are made of this one, as on a system that systemd has started.
 */
export function enterMountNamespace(propagation: 'private' | 'shared' = 'private'): void {
  if (inside) return;
  inside = true;
  const libc = koffi.load(null);
  const unshare = libc.func('int unshare(int flags)');
  const mount = libc.func('int mount(void *source, const char *target, void *type, ulong flags, void *data)');
  const check = (result: number) => {
    if (result !== 0) throw new Error(`cannot make a mount namespace: errno ${koffi.errno()}`);
  };
  check(unshare(CLONE_NEWNS));
  check(mount(null, '/', null, MS_REC | PROPAGATION.private, null));
  if (propagation === 'shared') check(mount(null, '/', null, MS_REC | PROPAGATION.shared, null));
}
