/**
 * Virtual machines for tests: a kernel of their own with real fs-verity, that can be started, watched on its serial line, and
 * killed. Emulated (TCG), so no virtualization is needed: a start takes 4 to 15 s. Needs qemu-system-x86, and ovmf for UEFI.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { archiveOf, machineKit } from './virtual-machine-kit.ts';

interface MachineOptions {
  /** Raw disk images: /dev/vda, /dev/vdb, … With `firmware` the first must have a boot loader. */
  readonly disks?: readonly string[];
  /** Kernel and initramfs files; the kit's if absent. */
  readonly kernel?: string;
  readonly initramfs?: string;
  /** Kernel arguments after the usual ones. */
  readonly arguments?: readonly string[];
  /** Shell text that the kit's init runs. */
  readonly script?: string;
  /** More files of /job: name to content. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Boots the first disk under UEFI. The file keeps the firmware's variables; it is made when missing. */
  readonly firmware?: { readonly variables: string };
  /** Restarts go on in the same machine; otherwise one ends it. */
  readonly restarts?: boolean;
  /** More arguments for QEMU, such as a network. */
  readonly qemu?: readonly string[];
  /** MiB. */
  readonly memory?: number;
  /** Seconds until the machine is killed. */
  readonly limit?: number;
}

interface MachineResult {
  /** What came over the serial line, lines ended with \n. */
  readonly log: string;
  /** What the script ended with; undefined when it did not end. */
  readonly status: number | undefined;
  readonly ended: 'by itself' | 'killed' | 'time limit';
}

/** Arguments that make a start quick and bring messages of the kernel that matter to the serial line. */
export const USUAL_ARGUMENTS = ['console=ttyS0', 'quiet', 'loglevel=4', 'panic=-1', 'mitigations=off'];

const FIRMWARE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
const FIRMWARE_VARIABLES = '/usr/share/OVMF/OVMF_VARS_4M.fd';
const LIMIT_SECONDS = 240;

/** Starts a machine and waits for its end. */
export function runMachine(options: MachineOptions): Promise<MachineResult> {
  return new Machine(options).result;
}

export class Machine {
  readonly result: Promise<MachineResult>;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  #log = '';
  #ended: MachineResult['ended'] | undefined;

  constructor(options: MachineOptions) {
    const directory = mkdtempSync(join(tmpdir(), 'osupd-machine-'));
    this.#child = spawn('qemu-system-x86_64', qemuArguments(options, directory), { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#log += chunk.toString('latin1').replaceAll('\r', '');
        this.#wake();
      });
    }
    const timer = setTimeout(() => this.#kill('time limit'), (options.limit ?? LIMIT_SECONDS) * 1000);
    this.result = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', () => {
        clearTimeout(timer);
        rmSync(directory, { recursive: true, force: true });
        this.#ended ??= 'by itself';
        this.#wake();
        const status = /^MACHINE-EXIT:(\d+)$/m.exec(this.#log)?.[1];
        resolve({ log: this.#log, status: status === undefined ? undefined : Number(status), ended: this.#ended });
      });
    });
  }

  /** What came over the serial line until now. */
  get log(): string {
    return this.#log;
  }

  /** Waits until the serial line has brought this, after the first `from` letters. @throws Error when the machine ends before. */
  async until(text: string | RegExp, from = 0): Promise<void> {
    const seen = () =>
      typeof text === 'string'
        ? this.#log.includes(text, from)
        : text.test(from === 0 ? this.#log : this.#log.slice(from));
    while (!seen()) {
      if (this.#ended !== undefined) throw new Error(`the machine ended before ${text}:\n${this.#log}`);
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
  }

  /** As a power cut: nothing in the machine hears of it. Disks keep what the machine had flushed, and perhaps more. */
  kill(): Promise<MachineResult> {
    this.#kill('killed');
    return this.result;
  }

  #kill(how: MachineResult['ended']): void {
    this.#ended ??= how;
    this.#child.kill('SIGKILL');
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher();
    this.#watchers.clear();
  }
}

function qemuArguments(options: MachineOptions, directory: string): string[] {
  return [
    ...['-machine', 'q35', '-cpu', 'max', '-accel', 'tcg,thread=multi', '-smp', '1', '-m', `${options.memory ?? 1024}`],
    ...['-display', 'none', '-nodefaults', '-serial', 'stdio'],
    ...(options.restarts === true ? [] : ['-no-reboot']),
    ...(options.firmware === undefined ? kernelArguments(options, directory) : firmwareArguments(options.firmware)),
    ...(options.disks ?? []).flatMap((disk) => ['-drive', `file=${disk},format=raw,if=virtio,cache=unsafe`]),
    ...(options.qemu ?? []),
  ];
}

function kernelArguments(options: MachineOptions, directory: string): string[] {
  const kit = machineKit();
  const text = [...USUAL_ARGUMENTS, ...(options.arguments ?? [])].join(' ');
  const initramfs = join(directory, 'initramfs');
  const base = readFileSync(options.initramfs ?? kit.initramfs);
  writeFileSync(initramfs, options.script === undefined ? base : Buffer.concat([base, jobArchive(options)]));
  return ['-kernel', options.kernel ?? kit.kernel, '-initrd', initramfs, '-append', text];
}

/** An archive with the script and its files, to be appended to the kit's initramfs. */
export function jobArchive({ script = '', files = {} }: Pick<MachineOptions, 'script' | 'files'>): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'osupd-job-'));
  for (const [name, content] of Object.entries({ ...files, run: script })) {
    const path = join(directory, 'job', name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content, { mode: 0o755 });
  }
  const archive = archiveOf(directory);
  rmSync(directory, { recursive: true });
  return archive;
}

function firmwareArguments({ variables }: { variables: string }): string[] {
  if (!existsSync(variables)) copyFileSync(FIRMWARE_VARIABLES, variables);
  const flash = (options: string) => ['-drive', `if=pflash,format=raw,${options}`];
  return [...flash(`readonly=on,file=${FIRMWARE}`), ...flash(`file=${variables}`)];
}
