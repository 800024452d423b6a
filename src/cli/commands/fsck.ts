/** `osupd fsck`: checks a pool, and fetches what is damaged or missing. */
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { Digest } from '../../core/digest.ts';
import { OsupdError } from '../../core/errors.ts';
import type { DeviceRoot } from '../../deploy/device.ts';
import type { Checked } from '../../objects/check.ts';
import { type Problem, remedyOf } from '../../objects/problem.ts';
import type { CliContext } from '../context.ts';
import type { RepairTotals, Subject } from '../fsck-repair.ts';
import { formatBytes, type Output, outputOf } from '../output.ts';
import { parseRate } from '../rate.ts';

interface Options {
  readonly pool?: string;
  readonly repair?: true;
  readonly from?: string;
  readonly background?: true;
  readonly rate?: number;
  readonly every?: number;
}

interface Findings {
  readonly problems: readonly Problem[];
  readonly checked: Checked;
}

const EXAMPLES = `
Reads every object and image of the pool (by default the device's), and compares it with its name. With --repair what is
damaged or missing is fetched from the device's repository, or from the one that --from names. With --background objects are
read slowly, from where the last such run stopped, and "osupd status" tells what was found.

Examples:
  osupd fsck
  osupd fsck --repair
  osupd fsck --background --rate 20M
  osupd fsck --pool ./pool --repair --from https://updates.example.com`;

export function register(program: Command, context: CliContext): void {
  program
    .command('fsck')
    .description('check that the pool has everything that its images name, undamaged')
    .option('--pool <dir>', "check this pool instead of the device's")
    .option('--repair', 'mend what is wrong; fetches only damaged or missing objects')
    .option('--from <url>', 'repository to fetch from: a URL or a directory')
    .option('--background', 'read slowly and with idle priority, and go on where the last run stopped')
    .option('--rate <bytes>', 'with --background: read at most so many bytes a second (default: 20M)', parseRate)
    .option('--every <days>', 'with --background: rest so many days after a full round (default: 7)', parseDays)
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options, command: Command) => {
      const output = outputOf(command, context);
      if (options.background) return verifyInBackground(options, output, command, context);
      const subject = await openSubject(options, command, context);
      if (options.repair) await repair(subject, output, context);
      else await report(await check(subject, false, output, context), output);
    });
}

async function openSubject(options: Options, command: Command, context: CliContext): Promise<Subject> {
  const { from } = options;
  // A URL stays as it is, a path becomes absolute.
  const given = from === undefined ? undefined : [URL.canParse(from) ? from : resolve(context.workingDirectory, from)];
  if (options.pool === undefined) {
    const { openDevice } = await import('../device.ts');
    const { device, configuration } = await openDevice(command, context);
    const owner = { device, configuration };
    return { pool: device.pool, owner, needed: await neededImages(device), repository: given ?? configuration.url };
  }
  const { Pool } = await import('../../objects/pool.ts');
  const { listBuildRecords } = await import('../../repository/build-record.ts');
  const pool = await Pool.open(resolve(context.workingDirectory, options.pool));
  const records = await Array.fromAsync(listBuildRecords(pool.directory));
  return { pool, needed: new Set(records.map(({ image }) => image.digest)), repository: given ?? [] };
}

/** Images of deployments, and those that a mount uses. */
async function neededImages(device: DeviceRoot): Promise<Set<Digest>> {
  const { deployedImages } = await import('../../deploy/integrity/deployed-images.ts');
  const { imagesOfMounts } = await import('../../deploy/mounted-images.ts');
  return new Set([...deployedImages(device), ...imagesOfMounts(device.pool, { dryRun: true })]);
}

/** @param held this process holds the device's lock. */
async function check(subject: Subject, held: boolean, output: Output, context: CliContext): Promise<Findings> {
  const { checkPool } = await import('../../objects/check.ts');
  const { decodeImage } = await import('../../image/read.ts');
  const { objectsOf } = await import('../../tree/references.ts');
  const { pool, owner, needed } = subject;
  const problems: Problem[] = [];
  const tell = (problem: Problem) => {
    problems.push(problem);
    output.line(describe(problem));
  };
  if (owner !== undefined) for (const problem of await deviceProblems(owner.device, held)) tell(problem);
  const startedAt = context.now();
  const found = checkPool(pool, {
    readReferences: (image, where) => objectsOf(decodeImage(image, where)),
    needed,
    progress: output.progress,
    signal: context.signal,
  });
  for (;;) {
    const { done, value } = await found.next();
    if (done) {
      if (owner !== undefined) await remember(owner.device, { problems, checked: value }, startedAt, context);
      return { problems, checked: value };
    }
    tell(value);
  }
}

/** Unfinished work is only that while no other osupd is at it. */
async function deviceProblems(device: DeviceRoot, held: boolean): Promise<Problem[]> {
  const { checkDevice } = await import('../../deploy/integrity/check-device.ts');
  try {
    using _lock = held ? undefined : device.lock();
    return [...checkDevice(device, true)];
  } catch (error) {
    if (error instanceof OsupdError && error.code === 'busy') return [...checkDevice(device, false)];
    throw error;
  }
}

async function remember(device: DeviceRoot, found: Findings, startedAt: Date, context: CliContext): Promise<void> {
  const { recordVerification } = await import('../../deploy/integrity/record.ts');
  const { problems, checked } = found;
  await recordVerification(device.directory, { startedAt, finishedAt: context.now(), ...checked, problems });
}

function describe(problem: Problem): string {
  const { type, path, detail, images } = problem;
  const hit =
    images.length === 0 ? '' : `, in ${images.length === 1 ? 'image' : 'images'} ${images.map(short).join(', ')}`;
  return `${type}  ${path}  ${detail}${hit}; ${remedyOf(problem)}`;
}

/** Half of what the slowest cards read: programs hardly notice. */
const DEFAULT_RATE = 20e6;
const DEFAULT_EVERY = 7;

function parseDays(text: string): number {
  const days = Number(text);
  if (!(days >= 0 && days <= 1000) || text === '') throw new InvalidArgumentError('Give a number of days.');
  return days;
}

const short = (digest: Digest) => digest.slice(0, 12);

/** Prints the result. @throws OsupdError `damaged-store` when something is wrong. */
async function report({ problems, checked }: Findings, output: Output, repaired?: RepairTotals): Promise<void> {
  const { isDamage } = await import('../../objects/problem.ts');
  const damage = problems.filter(isDamage);
  const { images, objects } = checked;
  output.result({ problems, checked, ...(repaired && { repaired }) }, () => {
    const what = `${images} images, ${objects.count} objects, ${formatBytes(objects.bytes)}`;
    const brought = repaired?.fetched
      ? `fetched ${repaired.fetched}, downloaded ${formatBytes(repaired.downloaded)}\n`
      : '';
    return `${brought}${what}: ${damage.length === 0 ? 'all good' : `${damage.length} problems`}`;
  });
  if (damage.length === 0) return;
  const byType = Object.groupBy(damage, ({ type }) => type);
  const counts = Object.fromEntries(Object.entries(byType).map(([type, list]) => [type, list.length]));
  throw new OsupdError('damaged-store', `${damage.length} problems`, {
    remedy: 'run "osupd fsck --repair"; what is not of osupd, remove by hand',
    facts: counts,
  });
}

/** Mends with what is here, fetches the rest, and checks again. */
async function repair(subject: Subject, output: Output, context: CliContext): Promise<void> {
  const { isMendable, mendProblems } = await import('../fsck-repair.ts');
  using _lock = subject.owner?.device.lock();
  const totals = { fetched: 0, downloaded: 0 };
  let findings = await check(subject, true, output, context);
  // Once more after an image came back: only then is it known which objects it names.
  for (let round = 0; round < 3 && findings.problems.some((each) => isMendable(each, round)); round++) {
    await mendProblems(subject, findings.problems, totals, output, context);
    output.note('checking again');
    findings = await check(subject, true, output, context);
  }
  await report(findings, output, totals);
}

async function verifyInBackground(
  options: Options,
  output: Output,
  command: Command,
  context: CliContext,
): Promise<void> {
  const { openDevice } = await import('../device.ts');
  const { verifyPool } = await import('../../deploy/integrity/background.ts');
  const { device } = await openDevice(command, context);
  const { rate = DEFAULT_RATE, every = DEFAULT_EVERY } = options;
  const { now, signal } = context;
  const verified = await verifyPool(device, { rate, every, now, signal, progress: output.progress });
  if (verified === undefined)
    throw new OsupdError('nothing-to-do', `everything was read within the last ${every} days`);
  const { problems, objects, bytes } = verified;
  for (const problem of problems) output.line(describe(problem));
  output.result(
    verified,
    () =>
      `read ${objects} objects, ${formatBytes(bytes)}: ${problems.length === 0 ? 'all good' : `${problems.length} problems`}`,
  );
  if (problems.length > 0)
    throw new OsupdError('damaged-store', `${problems.length} problems`, { remedy: 'run "osupd fsck --repair"' });
}
