/** Making way for other programs: lowest priority for the processor, idle class for the disk (ioprio_set(2)). */
import { setPriority } from 'node:os';
import { libc } from './libc.ts';

/** IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0). */
const IDLE = 3 << 13;
const WHO_PROCESS = 1;
const LOWEST = 19;

/** Of this thread, and of threads that it starts from now on. What the kernel does not allow is left out: nothing depends on it. */
export function makeWay(): void {
  setPriority(LOWEST);
  libc().ioprioSet(WHO_PROCESS, 0, IDLE);
}
