/** `osupd fsck`: checks a pool, and fetches what is damaged or missing. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Digest } from '../../core/digest.ts';
import { OsupdError } from '../../core/errors.ts';
import type { DeviceRoot } from '../../deploy/device.ts';
import type { Checked } from '../../objects/check.ts';
import type { Pool } from '../../objects/pool.ts';
import type { Problem, ProblemType } from '../../objects/problem.ts';
import type { CliContext } from '../context.ts';
import { formatBytes, type Output, outputOf } from '../output.ts';

interface Options {
  readonly pool?: string;
  readonly repair?: true;
  readonly from?: string;
}

/** What is checked, and where repairs come from. */
interface Subject {
  readonly pool: Pool;
  readonly device?: DeviceRoot;
  readonly needed: ReadonlySet<Digest>;
  /** Addresses of a repository, the preferred first. */
  readonly repository: readonly string[];
}

interface Findings {
  readonly problems: readonly Problem[];
  readonly checked: Checked;
}

const EXAMPLES = `
Reads every object and image of the pool (by default the device's), and compares it with its name. With --repair what is
damaged or missing is fetched from the device's repository, or from the one that --from names.

Examples:
  osupd fsck
  osupd fsck --repair
  osupd fsck --pool ./pool --repair --from https://updates.example.com`;

export function register(program: Command, context: CliContext): void {
  program
    .command('fsck')
    .description('check that the pool has everything that its images name, undamaged')
    .option('--pool <dir>', "check this pool instead of the device's")
    .option('--repair', 'mend what is wrong; fetches only damaged or missing objects')
    .option('--from <url>', 'repository to fetch from: a URL or a directory')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options, command: Command) => {
      const output = outputOf(command, context);
      const subject = await openSubject(options, command, context);
      const findings = await check(subject, output, context);
      if (options.repair) await repair(subject, findings, output, context);
      else await report(findings, output);
    });
}

async function openSubject(options: Options, command: Command, context: CliContext): Promise<Subject> {
  const { from } = options;
  // A URL stays as it is, a path becomes absolute.
  const given = from === undefined ? undefined : [URL.canParse(from) ? from : resolve(context.workingDirectory, from)];
  if (options.pool === undefined) {
    const { openDevice } = await import('../device.ts');
    const { device, configuration } = await openDevice(command, context);
    return { pool: device.pool, device, needed: await deployedImages(device), repository: given ?? configuration.url };
  }
  const { Pool } = await import('../../objects/pool.ts');
  const { listBuildRecords } = await import('../../repository/build-record.ts');
  const pool = await Pool.open(resolve(context.workingDirectory, options.pool));
  const records = await Array.fromAsync(listBuildRecords(pool.directory));
  return { pool, needed: new Set(records.map(({ image }) => image.digest)), repository: given ?? [] };
}

async function deployedImages(device: DeviceRoot): Promise<Set<Digest>> {
  const { listDeploymentIds, readDeployment } = await import('../../deploy/deployment.ts');
  const deployments = device
    .stacks()
    .flatMap((stack) => listDeploymentIds(device, stack).map((id) => readDeployment(device, stack, id)));
  return new Set(deployments.flatMap(({ images }) => images.map(({ digest }) => digest)));
}

async function check({ pool, needed }: Subject, output: Output, context: CliContext): Promise<Findings> {
  const { checkPool } = await import('../../objects/check.ts');
  const { decodeImage } = await import('../../image/read.ts');
  const { objectsOf } = await import('../../tree/references.ts');
  const problems: Problem[] = [];
  const found = checkPool(pool, {
    readReferences: (image, where) => objectsOf(decodeImage(image, where)),
    needed,
    progress: output.progress,
    signal: context.signal,
  });
  for (;;) {
    const { done, value } = await found.next();
    if (done) return { problems, checked: value };
    problems.push(value);
    output.line(describe(value));
  }
}

function describe({ type, path, detail, images }: Problem): string {
  const hit =
    images.length === 0 ? '' : `; in ${images.length === 1 ? 'image' : 'images'} ${images.map(short).join(', ')}`;
  return `${type}  ${path}  ${detail}${hit}`;
}

/** Types of problems that only the right content mends. */
const NEED_CONTENT: ReadonlySet<ProblemType> = new Set([
  'missing-object',
  'truncated-object',
  'changed-object',
  'unreadable-object',
]);

const isMendable = ({ type }: Problem) => type !== 'foreign-file';

const short = (digest: Digest) => digest.slice(0, 12);

/** Prints the result. @throws OsupdError `damaged-store` when something is wrong. */
async function report({ problems, checked }: Findings, output: Output): Promise<void> {
  const { isDamage } = await import('../../objects/problem.ts');
  const damage = problems.filter(isDamage);
  const { images, objects } = checked;
  output.result({ problems, checked }, () => {
    const what = `${images} images, ${objects.count} objects, ${formatBytes(objects.bytes)}`;
    return `${what}: ${damage.length === 0 ? 'all good' : `${damage.length} problems`}`;
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
async function repair(subject: Subject, found: Findings, output: Output, context: CliContext): Promise<void> {
  const { mendPool } = await import('../../objects/mend.ts');
  const { pool, device, needed } = subject;
  using _lock = device?.lock();
  let findings = found;
  // Once more after an image came back: only then is it known which objects it names.
  for (let round = 0; round < 2 && findings.problems.some(isMendable); round++) {
    await mendPool(pool, findings.problems, needed);
    await fetchDamaged(subject, findings.problems, output, context);
    output.note('checking again');
    findings = await check(subject, output, context);
  }
  await report(findings, output);
}

async function fetchDamaged(
  { pool, needed, repository }: Subject,
  problems: readonly Problem[],
  output: Output,
  context: CliContext,
): Promise<void> {
  const { openSource } = await import('../../transport/open.ts');
  const { repairPool } = await import('../../pull/repair.ts');
  const images = problems.flatMap(({ type, digest }) =>
    type.endsWith('-image') && digest !== undefined && needed.has(digest) ? [digest] : [],
  );
  const objects = problems.flatMap(({ type, digest, size }) =>
    NEED_CONTENT.has(type) && digest !== undefined && size !== undefined ? [{ type, digest, size }] : [],
  );
  // One that was only out of its place is back.
  const wanted = objects.filter(({ type, digest, size }) => type !== 'missing-object' || !pool.hasObject(digest, size));
  if (images.length + wanted.length === 0) return;
  if (repository.length === 0) {
    throw new OsupdError('damaged-store', `${images.length + wanted.length} objects and images must be fetched`, {
      where: pool.directory,
      remedy: 'name a repository that has them with --from',
    });
  }
  const source = await openSource(repository, {
    userAgent: `osupd/${context.version}`,
    environment: context.environment,
    random: Math.random,
  });
  try {
    await repairPool({ images, objects: wanted }, { pool, source, progress: output.progress, signal: context.signal });
  } finally {
    await source.close();
  }
}
