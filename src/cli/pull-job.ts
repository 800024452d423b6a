/** From what the stacks want to the job of pulling it. */
import type { PullJob } from '../pull/pull.ts';
import type { CliContext } from './context.ts';
import type { Output } from './output.ts';
import type { Updates } from './updates.ts';

export function pullJob({ device, trust, source, stacks }: Updates, output: Output, context: CliContext): PullJob {
  const wanted = stacks.filter(({ state }) => state === 'available').flatMap(({ images }) => images);
  const releases = wanted.map(({ release }) => release).filter((release) => release !== undefined);
  return { pool: device.pool, trust, source, releases, progress: output.progress, signal: context.signal };
}
