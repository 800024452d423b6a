/** `osupd mount IMAGE... DIR --pool POOL`; the same as `osupd image mount`. */
import { type Command, Option } from 'commander';
import { OsupdError } from '../../core/errors.ts';
import type { VerityMode } from '../../deploy/configuration-file.ts';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';

interface MountOptions {
  readonly pool: string;
  readonly verity: VerityMode;
  readonly replace?: boolean;
}

/** @param parent the program, or the command `image`. */
export function register(parent: Command, context: CliContext): void {
  parent
    .command('mount')
    .description('mount metadata images over a pool as one read-only tree')
    .argument('<path...>', 'image files, or digests of images in the pool, the topmost first; then the directory')
    .usage('[options] <image...> <dir>')
    .requiredOption('--pool <dir>', 'the pool that holds the objects')
    .addOption(
      new Option('--verity <mode>', 'let the kernel check every object: always, where all have fs-verity, or never')
        .choices(['require', 'auto', 'off'])
        .default('auto'),
    )
    .option('--replace', 'take the place of a stack that is mounted there, without a gap for its readers')
    .addHelpText('after', '\nExample:\n  osupd mount apps.cfs os.cfs /mnt --pool /srv/pool')
    .action(async (paths: string[], options: MountOptions, command: Command) => {
      const images = paths.slice(0, -1);
      const directory = paths.at(-1) ?? '';
      if (images.length === 0) {
        throw new OsupdError('usage', 'there must be one image or more, and then a directory', {
          remedy: 'see osupd mount --help',
        });
      }
      const { mountImages } = await import('../../deploy/mount-images.ts');
      const done = await mountImages({ ...options, images, directory, replace: options.replace ?? false });
      const what = `${images.length} ${images.length === 1 ? 'image' : 'images'} at ${directory}`;
      const checked = done.verity ? 'the kernel checks every object' : 'objects are not checked by the kernel';
      outputOf(command, context).result(
        { directory, ...done },
        `${done.replaced ? 'switched to' : 'mounted'} ${what} (${checked})`,
      );
    });
}
