/**
 * A process that switches a mountpoint between images until it is killed: `node switcher.ts MOUNTPOINT OBJECTS IMAGE...`.
 * Every second stack is put together through temporary mountpoints, as on older kernels. Prints `ready` first.
 */
import { switchLive } from '../../src/deploy/live.ts';
import { mountStack } from '../../src/deploy/stack-mount.ts';

const [mountpoint = '', pool = '', ...images] = process.argv.slice(2);
process.stdout.write('ready\n');
for (let round = 0; ; round++) {
  const image = images[round % images.length] ?? '';
  const without = new Set(round % 2 === 0 ? (['append-layers'] as const) : []);
  switchLive(mountpoint, mountStack({ images: [image], pool, verity: 'off', without }));
}
