/** `osupd init`: makes a directory a device that follows a repository. */
import { type Command, Option } from 'commander';
import type { SwitchMode } from '../../deploy/configuration-file.ts';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';

interface InitOptions {
  readonly url: string[];
  readonly trust: string;
  readonly channel: string;
  readonly stack: string;
  readonly image?: string[];
  readonly mountpoint?: string;
  readonly switch?: SwitchMode;
  readonly force?: boolean;
}

const EXAMPLES = `
Examples:
  osupd init --url https://updates.example.org/os --trust ./1.root.json
  osupd init --url https://updates.example.org/os --trust ./1.root.json --channel beta \\
    --stack kiosk --image kiosk --image os --mountpoint /srv/kiosk`;

const several = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

export function register(program: Command, context: CliContext): void {
  program
    .command('init')
    .description('set this device up: what it follows, whom it trusts, what it shows where')
    .requiredOption('--url <url>', 'the repository; repeat it for mirrors, the preferred first', several)
    .requiredOption('--trust <file>', "the repository's root metadata (metadata/1.root.json): a file or a URL")
    .option('--channel <name>', 'the channel to follow', 'stable')
    .option('--stack <name>', 'name of the stack', 'system')
    .option(
      '--image <name>',
      'an image of the stack; repeat it, the topmost first (default: found in the channel)',
      several,
    )
    .option('--mountpoint <dir>', 'where the stack shows (default: mnt/STACK in the root)')
    .addOption(
      new Option(
        '--switch <mode>',
        'switch under the readers, or when the machine starts (default: live; boot for the mountpoint /)',
      ).choices(['live', 'boot']),
    )
    .option('--force', 'replace what was set up before')
    .addHelpText('after', EXAMPLES)
    .action((options: InitOptions, command: Command) => init(options, command, context));
}

async function init(options: InitOptions, command: Command, context: CliContext): Promise<void> {
  const { resolve } = await import('node:path');
  const { deviceDirectory, deviceLocation } = await import('../device.ts');
  const { mainConfigurationFile } = await import('../../deploy/configuration.ts');
  const { initDevice } = await import('../../deploy/init.ts');
  const { checkStackName } = await import('../../deploy/stack-name.ts');
  const { readLocation } = await import('../read-location.ts');
  const location = deviceLocation(command, context);
  const absolute = (path: string) => resolve(context.workingDirectory, path);
  const configuration = mainConfigurationFile(location);
  const { device, root, changed } = await initDevice({
    directory: deviceDirectory(location),
    configurationFile: configuration,
    // A path is as good as a URL; what has a scheme is one.
    url: options.url.map((url) => (/^[a-z][a-z0-9+.-]*:/i.test(url) ? url : absolute(url))),
    channel: options.channel,
    stack: {
      name: checkStackName(options.stack),
      ...(options.mountpoint === undefined ? {} : { mountpoint: absolute(options.mountpoint) }),
      ...(options.image === undefined ? {} : { images: options.image }),
      ...(options.switch === undefined ? {} : { switch: options.switch }),
    },
    trust: { bytes: await readLocation(options.trust, context), where: options.trust },
    force: options.force ?? false,
  });
  outputOf(command, context).result(
    { root: device.directory, configuration, trust: root, changed },
    changed
      ? `set up ${device.directory}, configured in ${configuration}\ntrusts root version ${root.version}, SHA-256 ${root.sha256}`
      : `${device.directory} is set up like this already`,
  );
}
