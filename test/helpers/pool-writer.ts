/**
 * Builds an image in a process of its own, which a test can kill: `pool-writer.ts POOL TREE [STEP COUNT]`. With a step it
 * kills itself when a flush has done that for the COUNTth time. Prints what the batch recovered.
 */
import { buildImage } from '../../src/image/build.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import { Pool } from '../../src/objects/pool.ts';

const [poolDirectory = '', tree = '', lastStep, count = '1'] = process.argv.slice(2);

let seen = 0;
const batch = await ObjectBatch.open(await Pool.create(poolDirectory), {
  // Small, for many flushes.
  flushObjects: 16,
  onStep: (step) => {
    if (step === lastStep && ++seen === Number(count)) process.kill(process.pid, 'SIGKILL');
  },
});
const { digest } = await buildImage([{ kind: 'directory', path: tree }], batch, { inlineLimit: 64 });
const recovered = batch.recovered.count;
await batch.close();
process.stdout.write(JSON.stringify({ digest, recovered }));
