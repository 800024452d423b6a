/** I4 on a real disk: the power is cut before each change that an operation makes. */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { DeviceProcess, pointsIn } from './device-process.ts';
import { Laboratory, OPERATIONS, type Operation } from './operations.ts';
import { faultsOf } from './whole.ts';

const directory = temporaryDirectory();
const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
/** Cuts of one operation; all of its points in the long form. */
const CUTS = SCALE > 1 ? Number.POSITIVE_INFINITY : 2;
const LIMIT_MS = 60_000 * Math.max(3, SCALE);

let laboratory: Laboratory;

/** Runs an operation on a copy of its base, with the power cut before one point; leaves the disk mounted again. */
async function runWith(
  { base, args, shows }: Operation,
  at: number | undefined,
  other: DeviceProcess,
): Promise<{ cut: boolean; points: string[] }> {
  const { disks, root } = laboratory;
  const log = join(directory, 'points');
  disks.copy(base, 'cut');
  disks.mount('cut');
  if (shows) await other.run('activate', '--root', root);
  const cut = { disk: disks.mountpoint, log, ...(at === undefined ? {} : { at }) };
  await using process = new DeviceProcess({ commandLine: laboratory.commandLineOf(base), cut });
  const result = await process.run(...args, '--root', root);
  if (result !== undefined) expect(result).toMatchObject({ status: 0 });
  laboratory.hide();
  disks.unmount();
  disks.mount('cut');
  return { cut: result === undefined, points: pointsIn(log) };
}

describeWith(['root', 'mkfs.ext4', 'mkfs.xfs'], 'the power is cut before a change of', () => {
  beforeAll(async () => {
    enterMountNamespace();
    laboratory = await Laboratory.create(directory);
  });
  afterEach(() => {
    laboratory.hide();
    laboratory.disks.unmount();
  });
  afterAll(() => laboratory?.[Symbol.dispose]());

  it.each(OPERATIONS)(
    '$name: the old or the new deployment is whole, and one command brings order',
    async (operation) => {
      const { disks } = laboratory;
      await using checker = new DeviceProcess({ commandLine: laboratory.commandLineOf(operation.base) });
      const { points } = await runWith(operation, undefined, checker);
      const outcomes = await laboratory.outcomesOf(operation.base);
      expect(points.length).toBeGreaterThan(3);
      const step = Math.max(1, points.length / CUTS);
      let cuts = 0;
      for (let at = step / 2; at < points.length; at += step) {
        const number = Math.floor(at);
        const { cut } = await runWith(operation, number, checker);
        if (cut) cuts++;
        const faults = await faultsOf(laboratory, operation, outcomes, checker, number);
        expect(faults, `cut before ${points[number]}`).toEqual([]);
        disks.unmount();
      }
      // Threads write in different orders, so that the last points may not be reached.
      expect(cuts).toBeGreaterThanOrEqual(Math.min(2, Math.floor(points.length / step)));
      note(operation.name, cuts, points.length);
    },
    LIMIT_MS,
  );
});

/** The long form tells how much it has done. */
function note(name: string, cuts: number, points: number): void {
  if (SCALE > 1) process.stderr.write(`${name}: ${cuts} cuts at ${points} points\n`);
}
