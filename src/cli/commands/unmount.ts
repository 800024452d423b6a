/** `osupd unmount DIR`. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';

export function register(program: Command, context: CliContext): void {
  program
    .command('unmount')
    .description('unmount a stack or images that osupd mounted')
    .argument('<dir>', 'where they are mounted')
    .option('--lazy', 'also while processes use it: they keep what they have open')
    .addHelpText('after', '\nExample:\n  osupd unmount /mnt')
    .action(async (directory: string, options: { lazy?: boolean }, command: Command) => {
      const { unmountStack } = await import('../../deploy/live.ts');
      unmountStack(directory, { lazy: options.lazy ?? false });
      outputOf(command, context).result({ directory }, `unmounted ${directory}`);
    });
}
