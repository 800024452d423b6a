/**
 * A soft reboot: systemd ends all programs and starts anew in the root that is mounted at /run/nextroot, over the kernel that runs
 * (systemd-soft-reboot.service(8)). The script of the initramfs makes the mounts (docs/initramfs.md).
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { OsupdError } from '../../core/errors.ts';
import { writeFileDurably } from '../../sys/durable.ts';
import { detachMount } from '../../sys/mount.ts';
import { mountsAt } from '../../sys/mountinfo.ts';
import { attachedStack } from '../live.ts';
import { bootedDeployment } from './booted.ts';
import type { BootArguments } from './kernel-arguments.ts';

/** Where systemd looks for the next root. */
const NEXT_ROOT = '/run/nextroot';
/** What a boot would have had as its kernel command line; /run stays over a soft reboot. */
const COMMAND_LINE = '/run/osupd/cmdline';
const KERNEL_COMMAND_LINE = '/proc/cmdline';
/** Where the state file system may be while a deployment runs; without one of them it is the root. */
const STATE_DIRECTORIES = ['/sysroot', '/run/osupd/state'];

/** The script for mounts, in the package and in its sources. */
const SCRIPT = resolve(import.meta.dirname, '../../../systemd/initramfs/osupd-boot');

export interface SoftRebootRequest {
  /** The words of the deployment's boot entry. */
  readonly arguments: BootArguments;
  /** Where the state file system is mounted; found if absent. */
  readonly state?: string;
  /** Defaults to what systemd takes; tests have their own. */
  readonly nextRoot?: string;
  readonly commandLineFile?: string;
}

/** Version of the systemd that is process 1; undefined where that is another program. */
export async function runningSystemd(): Promise<number | undefined> {
  // systemd makes this directory first of all: the documented way to ask (sd_booted(3)).
  if (!existsSync('/run/systemd/system')) return undefined;
  const { status, output } = await runProgram('systemctl', ['show', '--property=Version', '--value']);
  const version = /^\D*(\d+)/.exec(output)?.[1];
  return status === 0 && version !== undefined ? Number(version) : undefined;
}

/**
 * Mounts a deployment where systemd takes it as the next root, with its /etc, /var and writable directories. What an earlier call has
 * mounted there goes.
 * @throws OsupdError `damaged-store` with the line that the script says.
 */
export async function prepareSoftReboot(request: SoftRebootRequest): Promise<void> {
  const { nextRoot = NEXT_ROOT, commandLineFile = COMMAND_LINE, state = stateDirectory() } = request;
  mkdirSync(nextRoot, { recursive: true });
  for (const _mount of mountsAt(nextRoot)) detachMount(nextRoot);
  mkdirSync(dirname(commandLineFile), { recursive: true });
  await writeFileDurably(commandLineFile, `${request.arguments.join(' ')}\n`, 0o644);
  const { status, output } = await runProgram('sh', [SCRIPT, state, nextRoot, commandLineFile]);
  if (status === 0) return;
  throw new OsupdError('damaged-store', `the deployment cannot be mounted: ${output.trim()}`, {
    where: nextRoot,
    remedy: 'run osupd fsck; a restart of the machine would fail in the same way',
  });
}

/** Has systemd start again: its user space, in what {@link prepareSoftReboot} has mounted, or the machine. @throws OsupdError `unsupported` */
export async function startAgain(way: 'soft-reboot' | 'reboot'): Promise<void> {
  const { status, output } = await runProgram('systemctl', [way]);
  if (status === 0) return;
  throw new OsupdError('unsupported', `systemctl ${way}: ${output.trim()}`, {
    where: 'systemd',
    remedy: 'start the machine again in another way',
  });
}

/**
 * The command line that what runs was started by: the kernel's, or after a soft reboot the one that this was prepared with. It
 * counts only where the deployment that it names is the root: a soft reboot may not have come about.
 */
export function runningCommandLine(root = '/', commandLineFile = COMMAND_LINE): string {
  if (existsSync(commandLineFile)) {
    const text = readFileSync(commandLineFile, 'utf8');
    const named = bootedDeployment(text);
    const { stack, deployment } = attachedStack(root)?.identity ?? {};
    if (named !== undefined && named.stack === stack && named.id === deployment) return text;
  }
  return readFileSync(KERNEL_COMMAND_LINE, 'utf8');
}

function stateDirectory(): string {
  return STATE_DIRECTORIES.find((directory) => existsSync(directory) && mountsAt(directory).length > 0) ?? '/';
}

/** Runs a program to its end; gives what it wrote. */
function runProgram(program: string, args: readonly string[]): Promise<{ status: number; output: string }> {
  return new Promise((done, failed) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', (cause) =>
      failed(new OsupdError('not-found', 'the program cannot be started', { where: program, cause })),
    );
    child.on('close', (code) => done({ status: code ?? -1, output: Buffer.concat(chunks).toString('utf8') }));
  });
}
