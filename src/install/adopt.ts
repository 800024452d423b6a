/**
 * Makes an installed system a deployment, where it is: its files become objects in /var/lib/osupd of its own root file system, which
 * becomes the state file system. The installation stays as it is and can be booted as before.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stringify } from 'smol-toml';
import { fromText, toText } from '../core/bytes.ts';
import { OsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import { openBootPartition } from '../deploy/boot/boot-partition.ts';
import { type BootChange, switchAtBoot } from '../deploy/boot/switch-boot.ts';
import { readConfiguration } from '../deploy/configuration.ts';
import { deployImages } from '../deploy/deployment.ts';
import { EtcDirectory } from '../deploy/etc/etc-directory.ts';
import { initDevice } from '../deploy/init.ts';
import { buildImage } from '../image/build.ts';
import type { Amount } from '../objects/ingest.ts';
import { ObjectBatch } from '../objects/ingest.ts';
import { isVersion } from '../repository/layout.ts';
import { syncDirectory, writeFileDurably } from '../sys/durable.ts';
import { readMounts } from '../sys/mountinfo.ts';
import { readDirectory } from '../tree/read-directory.ts';
import { nodeOf, walk } from '../tree/tree.ts';
import { bootLoader, type Missing, missingForAdoption, refuseMissing } from './adopt-checks.ts';
import { runProgram } from './run-program.ts';

export interface AdoptRequest {
  /** Absolute path of the installed system's root directory: `/`, or where it is mounted. */
  readonly directory: string;
  readonly url: readonly string[];
  readonly channel: string;
  readonly trust: { readonly bytes: Uint8Array; readonly where: string };
  readonly stack: string;
  /** Name of the image. */
  readonly name: string;
  /** Undefined: what os-release says. */
  readonly version: string | undefined;
  /** Patterns of what is left out besides state. */
  readonly exclude: readonly string[];
  /** Kernel arguments of this device besides `root=`. */
  readonly arguments: readonly string[];
  readonly createdAt: string;
  /** Only look what is missing. */
  readonly dryRun: boolean;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

export interface AdoptResult {
  readonly version: string;
  readonly missing: readonly Missing[];
  readonly content: Amount;
  /** Undefined for a dry run. */
  readonly change: BootChange | undefined;
}

/** State, and what is there only while a system runs. Directories stay, empty. */
const EXCLUDED = [
  ...['dev', 'proc', 'sys', 'run', 'tmp', 'var', 'home', 'root', 'srv', 'mnt', 'media', 'efi', 'boot/efi'].map(
    (name) => `${name}/*`,
  ),
  'lost+found',
];
const ESP_PLACES = ['efi', 'boot/efi', 'boot'];
/** Files up to this size are kept in the image itself, as osupd build has it. */
const INLINE_BYTES = 64;

/**
 * Done again after a cut, it goes on; the installed system is never changed but for /etc/osupd and /var/lib/osupd.
 * @throws OsupdError `unsupported` that lists everything that is missing; `changed-while-read` when the system is being changed;
 *   `no-space`, `usage`, `verification-failed`.
 */
export async function adopt(request: AdoptRequest): Promise<AdoptResult> {
  const { directory, dryRun, progress, signal } = request;
  const version = request.version ?? installedVersion(directory);
  const options = {
    inlineLimit: INLINE_BYTES,
    exclude: [...EXCLUDED, ...request.exclude],
    oneFileSystem: true,
    progress,
    ...(signal === undefined ? {} : { signal }),
  };
  const content = contentOf(await readDirectory(directory, options));
  const boot = ESP_PLACES.map((path) => join(directory, path)).find((path) => existsSync(join(path, 'EFI')));
  const missing = missingForAdoption({ directory, content, boot });
  if (dryRun) return { version, missing, content, change: undefined };
  refuseMissing(missing, directory);

  const loader = bootLoader(directory, boot ?? '') ?? 'systemd-boot';
  const { device, configuration } = await configure(request, loader, await rootWords(directory));
  using _lock = device.lock();
  await using batch = await ObjectBatch.open(device.pool);
  const { digest } = await buildImage([{ kind: 'directory', path: directory }], batch, options);
  const images = [{ name: request.name, version, digest }];
  const origin = { url: request.url[0] ?? '', channel: request.channel };
  const { stack } = request;
  const { id } = await deployImages(device, stack, images, origin, request.createdAt);
  const session = {
    ...{ device, configuration, boot: openBootPartition(boot ?? ''), booted: undefined, now: request.createdAt },
    stateDirectory: directory,
  };
  const change = await switchAtBoot(session, stack, options);
  await writeFileDurably(join(new EtcDirectory(device, stack, id).upper, 'fstab'), tableWithoutRoot(directory));
  return { version, missing, content, change };
}

/** The device root, whom it trusts and what it follows: in the /etc of now, which the image then has. */
async function configure(request: AdoptRequest, loader: string, words: readonly string[]) {
  const { directory, url, channel, stack, name, trust } = request;
  const configurationFile = join(directory, 'etc/osupd/osupd.toml');
  const { device } = await initDevice({
    ...{ directory: join(directory, 'var/lib/osupd'), configurationFile, url, channel, trust },
    stack: { name: stack, mountpoint: '/', images: [name], switch: 'boot' },
    force: false,
  });
  const text = stringify({ boot: { loader, arguments: [...words, ...request.arguments] } });
  const addition = `${configurationFile}.d/boot.toml`;
  if (!existsSync(addition)) {
    mkdirSync(dirname(addition), { recursive: true });
    syncDirectory(dirname(configurationFile));
    await writeFileDurably(addition, `# Written by osupd adopt.\n${text}\n`);
  }
  return { device, configuration: readConfiguration({ config: configurationFile }) };
}

/** Arguments by which the initramfs finds the root file system. */
async function rootWords(directory: string): Promise<string[]> {
  const mount = readMounts().findLast(({ mountpoint }) => mountpoint === fromText(directory));
  const source = toText(mount?.source ?? '');
  const uuid = (await runProgram('blkid', ['-s', 'UUID', '-o', 'value', source], source)).trim();
  // A subvolume of btrfs.
  const part = toText(mount?.root ?? '/').slice(1);
  return [`root=UUID=${uuid}`, ...(part === '' ? [] : [`rootflags=subvol=${part}`]), 'rw'];
}

/** The root is mounted by the initramfs: it is not what the table of the installation says. */
function tableWithoutRoot(directory: string): string {
  const path = join(directory, 'etc/fstab');
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  return text.replace(/^(?=[^#\s]\S*\s+\/\s)/gm, '# of the adopted installation: ');
}

/** `VERSION_ID` of os-release(5). */
function installedVersion(directory: string): string {
  const file = ['etc/os-release', 'usr/lib/os-release'].map((path) => join(directory, path)).find(existsSync);
  const version = /^VERSION_ID="?([^"\n]*)"?$/m.exec(file === undefined ? '' : readFileSync(file, 'utf8'))?.[1] ?? '';
  if (isVersion(version)) return version;
  throw new OsupdError('usage', 'the system does not say its version', {
    where: file ?? join(directory, 'etc/os-release'),
    remedy: 'give one with --version',
  });
}

function contentOf(tree: Awaited<ReturnType<typeof readDirectory>>): Amount {
  let [count, bytes] = [0, 0];
  for (const { entry } of walk(tree)) {
    const node = nodeOf(entry);
    if (entry.type !== 'file' || node.type !== 'file' || node.content !== undefined) continue;
    count++;
    bytes += node.size;
  }
  return { count, bytes };
}
