/** Memory of this process that the C library holds. */
import { libc } from './libc.ts';

/** mallopt(3): larger blocks are mapped one by one, and go back to the system when they are freed. */
const M_MMAP_THRESHOLD = -3;

const THRESHOLD_BYTES = 512 << 10;

/**
 * Large blocks that are freed go back to the system at once, for all threads. By itself glibc keeps up to 64 MiB of them for each
 * thread: it raises its threshold to the largest block that was ever freed. musl has no such threshold, and needs none.
 */
export function returnFreedBlocks(): void {
  libc().mallopt?.(M_MMAP_THRESHOLD, THRESHOLD_BYTES);
}

/** Gives all that was freed back to the system, once; what the C library keeps between blocks that are in use, too. */
export function returnFreedMemory(): void {
  libc().mallocTrim?.(0);
}
