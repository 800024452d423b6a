/**
 * Mountpoints that exist only while a stack is put together, for kernels that want to see layers at a path. Short paths
 * without any character that mount options treat specially.
 */
import { mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { toText } from '../core/bytes.ts';
import { toOsupdError } from '../core/errors.ts';
import { errnoOf } from '../sys/libc.ts';
import { attachMount, detachMount } from '../sys/mount.ts';
import { readMounts } from '../sys/mountinfo.ts';
import { isAlive } from '../sys/processes.ts';

/** A tmpfs on every system that boots; nothing in it outlives the boot. */
const PARENT = '/run';
const NAME = /^osupd-mount-(\d+)$/;

export class TemporaryMountpoints implements Disposable {
  readonly #directory: string;
  readonly #names: string[] = [];

  /** @throws OsupdError `io` where /run cannot be written to. */
  constructor() {
    try {
      clearAbandoned();
      this.#directory = join(PARENT, `osupd-mount-${process.pid}`);
      mkdirSync(this.#directory, { mode: 0o700 });
    } catch (error) {
      throw toOsupdError(error, PARENT);
    }
  }

  /** Attaches a detached mount. @returns where. */
  attach(mount: number): string {
    const path = this.make();
    attachMount(mount, path);
    return path;
  }

  /** A new directory for a mount that the caller makes there. */
  make(): string {
    const path = join(this.#directory, String(this.#names.length));
    mkdirSync(path);
    this.#names.push(path);
    return path;
  }

  /** Takes all mounts away again; what was made of them stays. */
  [Symbol.dispose](): void {
    clear(this.#directory);
  }
}

/** Removes what a process left that was killed in the middle. */
function clearAbandoned(): void {
  for (const name of readdirSync(PARENT)) {
    const pid = NAME.exec(name)?.[1];
    if (pid === undefined) continue;
    // The directory of this very process is an old one with the same number: it uses one at a time.
    if (Number(pid) !== process.pid && isAlive(Number(pid))) continue;
    try {
      clear(join(PARENT, name));
    } catch (error) {
      // Another process clears it at the same time.
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
}

function clear(directory: string): void {
  const mounted = readMounts()
    .map((mount) => toText(mount.mountpoint))
    .filter((path) => path.startsWith(`${directory}/`));
  for (const path of mounted.reverse()) detachMount(path);
  // Never recursively: in a mount that is still there that would go into the pool.
  for (const name of readdirSync(directory)) rmdirSync(join(directory, name));
  rmdirSync(directory);
}
