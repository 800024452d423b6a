/** `osupd install`: makes a disk from a repository that a machine boots. */
import { type Command, Option } from 'commander';
import type { InstallResult } from '../../install/install.ts';
import { DEFAULT_ESP_BYTES } from '../../install/partitions.ts';
import type { CliContext } from '../context.ts';
import { formatBytes, outputOf } from '../output.ts';
import { several } from '../repository-options.ts';
import { parseSize } from '../size.ts';

interface InstallOptions {
  readonly disk: string;
  readonly url: string[];
  readonly from?: string;
  readonly trust: string;
  readonly channel: string;
  readonly stack: string;
  readonly image?: string[];
  readonly release?: string[];
  readonly fileSystem: 'ext4' | 'btrfs' | 'xfs';
  readonly size: number;
  readonly espSize: number;
  readonly argument?: string[];
  readonly yes?: true;
}

const EXAMPLES = `
The disk is an image file, which is made when it does not exist, or a block device. It gets an EFI system partition with
systemd-boot (from the image) and one for the state. Cut short, it is no system; run the command again.

Examples:
  osupd install --disk device.img --size 8G --url https://updates.example.org/os --trust ./1.root.json
  osupd install --disk /dev/sdx --yes --url https://updates.example.org/os --trust ./1.root.json --channel beta
  osupd install --disk device.img --from ./repo --url https://updates.example.org/os --trust ./1.root.json \\
    --release os@7 --argument console=ttyS0`;

export function register(program: Command, context: CliContext): void {
  program
    .command('install')
    .description('make a bootable disk from a repository')
    .requiredOption('--disk <file>', 'an image file, or a block device')
    .requiredOption('--url <url>', 'the repository that the new device follows; repeat it for mirrors', several)
    .requiredOption('--trust <file>', "the repository's root metadata (metadata/1.root.json): a file or a URL")
    .option('--from <url>', 'take the first version from here, for example a copy on this machine (default: --url)')
    .option('--channel <name>', 'the channel to follow', 'stable')
    .option('--stack <name>', 'name of the stack that is the root file system', 'system')
    .option(
      '--image <name>',
      'an image of the stack; repeat it, the topmost first (default: found in the channel)',
      several,
    )
    .option('--release <name@version>', 'install this version, not what the channel offers; repeatable', several)
    .addOption(
      new Option('--file-system <type>', 'file system of the state; ext4 has fs-verity')
        .choices(['ext4', 'btrfs', 'xfs'])
        .default('ext4'),
    )
    .option('--size <bytes>', 'size of an image file that does not exist yet (4G, 900M)', parseSize, parseSize('4G'))
    .option('--esp-size <bytes>', 'size of the EFI system partition', parseSize, DEFAULT_ESP_BYTES)
    .option('--argument <word>', 'a kernel argument of this device, for example console=ttyS0; repeatable', several)
    .option('--yes', 'everything on the disk may be lost')
    .addHelpText('after', EXAMPLES)
    .action((options: InstallOptions, command: Command) => runInstall(options, command, context));
}

async function runInstall(options: InstallOptions, command: Command, context: CliContext): Promise<void> {
  const { randomUUID } = await import('node:crypto');
  const { resolve } = await import('node:path');
  const { install } = await import('../../install/install.ts');
  const { formatTime } = await import('../../repository/json-fields.ts');
  const { checkStackName } = await import('../../deploy/stack-name.ts');
  const { openNewDevice } = await import('../new-device.ts');
  const output = outputOf(command, context);
  const absolute = (path: string) => resolve(context.workingDirectory, path);
  const address = (text: string) => (/^[a-z][a-z0-9+.-]*:/i.test(text) ? text : absolute(text));
  const url = options.url.map(address);
  const { channel, image: images } = options;
  const stack = checkStackName(options.stack);
  const wanted = { channel, stack, images, versions: options.release ?? [], trust: options.trust };
  await using view = await openNewDevice(options.from === undefined ? url : [address(options.from)], wanted, context);
  const result = await install({
    disk: { path: absolute(options.disk), bytes: options.size, overwrite: options.yes ?? false },
    espBytes: options.espSize,
    fileSystem: options.fileSystem,
    ...{ source: view.source, trust: view.trust, trustDirectory: view.trustDirectory, releases: view.releases },
    follow: { url, channel, stack, ...(images === undefined ? {} : { images }) },
    arguments: options.argument ?? [],
    createdAt: formatTime(context.now()),
    newUuid: randomUUID,
    progress: output.progress,
    signal: context.signal,
  });
  output.result(report(options, result), () => text(options, result));
}

function report({ disk, fileSystem }: InstallOptions, { plan, deployment, summary, entry }: InstallResult): object {
  return {
    disk,
    uuid: plan.uuid,
    partitions: [plan.esp, plan.state],
    fileSystem,
    deployment: deployment.id,
    images: deployment.images,
    entry,
    downloaded: summary.downloaded,
    added: summary.added,
  };
}

function text({ disk, fileSystem }: InstallOptions, { plan, deployment, summary }: InstallResult): string {
  const { esp, state } = plan;
  const images = deployment.images.map(({ name, version }) => `${name} ${version}`).join(', ');
  return [
    `${disk}: boots ${images}, deployment ${deployment.id}`,
    `partitions: EFI system ${formatBytes(esp.length)}, state ${formatBytes(state.length)} (${fileSystem})`,
    `downloaded ${formatBytes(summary.downloaded)}; ${summary.added.count} objects, ${formatBytes(summary.added.bytes)}`,
  ].join('\n');
}
