/** `osupd status` for people: a bullet at what is in use, keys aligned to the right, as image-based systems show it. */
import { countOf } from '../core/count.ts';
import type { StackBoot } from '../deploy/boot/boot-status.ts';
import type { FailedDeployment } from '../deploy/failed.ts';
import type { IntegrityStatus } from '../deploy/integrity/damage.ts';
import type { DeploymentStatus, DeviceStatus, FileTotals, StackStatus } from '../deploy/status.ts';
import { formatBytes } from './output.ts';

type Row = readonly [key: string, value: string];

export function statusText(status: DeviceStatus): string {
  const parts = status.stacks.map(stackText);
  const { images, objects } = status.pool;
  const pool = [totalsText(images, 'image'), totalsText(objects, 'object')].filter((text) => text !== undefined);
  if (pool.length > 0) parts.push(`Pool: ${pool.join(', ')}\n${integrityText(status.integrity)}`);
  return parts.join('\n');
}

function stackText(stack: StackStatus): string {
  const { name, mountpoint, switch: mode, inUse, problem, boot, failed, deployments } = stack;
  const place = mountpoint === null ? '(not configured)' : `at ${mountpoint} (${mode} switch)`;
  const blocks = deployments.map((each) => deploymentRows(each, boot));
  // Two columns for the bullet and a space, one for the colon.
  const width = Math.max(0, ...blocks.flat().map(([key]) => key.length)) + 3;
  const text = blocks.map((rows, at) => {
    const lines = rows.map(([key, value]) => `${(key === '' ? '' : `${key}:`).padStart(width)} ${value}\n`).join('');
    return deployments[at]?.inUse ? `●${lines.slice(1)}` : lines;
  });
  const notes: string[] = [];
  if (deployments.length === 0) notes.push('  nothing is deployed yet: run osupd pull\n');
  else if (problem !== null && mountpoint !== null) notes.push(`  ${problem}\n`);
  else if (mountpoint !== null && inUse === null) notes.push('  nothing is mounted here\n');
  else if (inUse !== null && !deployments.some((each) => each.inUse))
    notes.push(`  in use: ${inUse}, which was removed\n`);
  if (boot?.nextStart && boot.nextStart !== boot.booted) notes.push(`  ${boot.nextStart} waits for the next start\n`);
  const failures = failed.map(failureText);
  return [`Stack ${name} ${place}\n`, ...notes, ...text, ...failures].join('\n');
}

function failureText({ id, images, at, why }: FailedDeployment): string {
  const what = images.map(({ name, version }) => `${name} ${version}`).join(', ');
  return `  failed: ${what} (${id}) at ${at}: ${why}; osupd pull --retry takes it again\n`;
}

function integrityText({ everyRead, verified, running, damaged }: IntegrityStatus): string {
  const known = damaged === 0 ? '' : `; ${damaged} known to be damaged: run osupd fsck --repair`;
  if (everyRead === null) return '';
  if (everyRead) return `Integrity: the kernel checks every read (fs-verity)${known}\n`;
  const last = verified === null ? 'everything was never read' : `everything was last read at ${verified.finishedAt}`;
  const now = running === null ? '' : `; being read since ${running.startedAt} (${formatBytes(running.bytes)} so far)`;
  return `Integrity: not checked on reads (no fs-verity); ${last}${now}${known}\n`;
}

function deploymentRows(status: DeploymentStatus, boot: StackBoot | null): Row[] {
  const entry = boot?.entries.find((each) => each.id === status.id);
  const { id, roles, pinned, images, createdAt, origin, arguments: words, damage } = status;
  const role = roles.length === 0 ? 'kept' : roles.join(' and ');
  return [
    [`${role.charAt(0).toUpperCase()}${role.slice(1)} deployment`, id],
    ...(damage === null ? [] : [['Damaged', `${damage}; run osupd fsck --repair`] as Row]),
    ...(images.length === 0
      ? []
      : [['Version', images.map(({ name, version }) => `${name} ${version}`).join(', ')] as Row]),
    ...images.map(
      ({ name, digest }, at): Row => [
        at > 0 ? '' : images.length === 1 ? 'Digest' : 'Digests',
        images.length === 1 ? digest : `${digest} ${name}`,
      ],
    ),
    ...(createdAt === null ? [] : [['Deployed at', createdAt] as Row]),
    ...(origin === null ? [] : [['Origin', `${origin.url} (${origin.channel})`] as Row]),
    ...(words.length > 0 ? [['Arguments', words.join(' ')] as Row] : []),
    ...(entry === undefined ? [] : [['Boot entry', entryText(entry)] as Row]),
    ...(pinned ? [['Pinned', 'yes'] as Row] : []),
  ];
}

function entryText({ file, attemptsLeft }: StackBoot['entries'][number]): string {
  if (attemptsLeft === null) return file;
  return `${file} (${countOf(attemptsLeft, 'attempt')} left)`;
}

function totalsText(totals: FileTotals | null, what: string): string | undefined {
  if (totals === null) return undefined;
  return `${countOf(totals.count, what)} (${formatBytes(totals.bytes)})`;
}
