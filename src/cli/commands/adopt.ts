/** `osupd adopt`: an installed system becomes a deployment, where it is. */
import type { Command } from 'commander';
import { countOf } from '../../core/count.ts';
import type { AdoptResult } from '../../install/adopt.ts';
import type { CliContext } from '../context.ts';
import { formatBytes, outputOf } from '../output.ts';
import { several } from '../repository-options.ts';

interface AdoptOptions {
  readonly url: string[];
  readonly trust: string;
  readonly channel: string;
  readonly stack: string;
  readonly image: string;
  readonly version?: string;
  readonly rootDirectory: string;
  readonly exclude?: string[];
  readonly argument?: string[];
  readonly dryRun?: true;
}

const EXAMPLES = `
Everything but state (/var, /home, /root, /srv) becomes an image on the system's own root file system, and gets an entry in the
boot menu. The installation stays, and its own entries boot it as before. docs/install.md says what it needs.

Examples:
  osupd adopt --url https://updates.example.org/os --trust ./1.root.json --dry-run
  osupd adopt --url https://updates.example.org/os --trust ./1.root.json
  osupd adopt --url https://updates.example.org/os --trust ./1.root.json --root-directory /mnt --version 12.7`;

/** Arguments of the running kernel that an entry has from elsewhere. */
const NOT_COPIED = /^(BOOT_IMAGE|initrd|root|rootflags|ro|rw|init|osupd\..*|systemd\.machine_id)(=|$)/;

export function register(program: Command, context: CliContext): void {
  program
    .command('adopt')
    .description('make an installed system a deployment, where it is')
    .requiredOption('--url <url>', 'the repository that it follows from now on; repeat it for mirrors', several)
    .requiredOption('--trust <file>', "the repository's root metadata (metadata/1.root.json): a file or a URL")
    .option('--channel <name>', 'the channel to follow', 'stable')
    .option('--stack <name>', 'name of the stack that is the root file system', 'system')
    .option('--image <name>', 'name of the image that it becomes', 'os')
    .option('--version <version>', 'its version (default: VERSION_ID of os-release)')
    .option('--root-directory <dir>', 'where the system is mounted, with its boot partition', '/')
    .option('--exclude <glob>', 'leave this out of the image, too; repeatable', several)
    .option(
      '--argument <word>',
      "a kernel argument; repeatable (default: those of the running kernel, for this machine's system)",
      several,
    )
    .option('--dry-run', 'say what is missing, but change nothing')
    .addHelpText('after', EXAMPLES)
    .action((options: AdoptOptions, command: Command) => runAdopt(options, command, context));
}

async function runAdopt(options: AdoptOptions, command: Command, context: CliContext): Promise<void> {
  const { resolve } = await import('node:path');
  const { adopt } = await import('../../install/adopt.ts');
  const { refuseMissing } = await import('../../install/adopt-checks.ts');
  const { formatTime } = await import('../../repository/json-fields.ts');
  const { checkStackName } = await import('../../deploy/stack-name.ts');
  const { readLocation } = await import('../read-location.ts');
  const { commandLineOf } = await import('../boot-session.ts');
  const output = outputOf(command, context);
  const absolute = (path: string) => resolve(context.workingDirectory, path);
  const directory = absolute(options.rootDirectory);
  const running = () =>
    commandLineOf(context)
      .split(/\s+/)
      .filter((word) => word !== '' && !NOT_COPIED.test(word));
  const result = await adopt({
    directory,
    url: options.url.map((text) => (/^[a-z][a-z0-9+.-]*:/i.test(text) ? text : absolute(text))),
    channel: options.channel,
    trust: { bytes: await readLocation(options.trust, context), where: options.trust },
    stack: checkStackName(options.stack),
    name: options.image,
    version: options.version,
    exclude: options.exclude ?? [],
    arguments: options.argument ?? (directory === '/' ? running() : []),
    createdAt: formatTime(context.now()),
    dryRun: options.dryRun ?? false,
    progress: output.progress,
    signal: context.signal,
  });
  const { version, missing, content, change } = result;
  output.result(
    { version, missing, content, deployment: change?.to.id ?? null, entry: change?.entry.file ?? null },
    () => text(options.image, result),
  );
  refuseMissing(missing, directory);
}

function text(name: string, { version, missing, content, change }: AdoptResult): string {
  const what = `${name} ${version}: ${countOf(content.count, 'file')}, ${formatBytes(content.bytes)}`;
  if (change !== undefined)
    return `${what}\ndeployment ${change.to.id} boots next, with the entry ${change.entry.file}`;
  const lines = missing.map(({ what: each, where, remedy }) => `missing: ${each} (${where}); ${remedy}`);
  return [what, ...(lines.length === 0 ? ['nothing is missing'] : lines)].join('\n');
}
