/** `osupd repo serve` */
import { once } from 'node:events';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CliContext } from '../../context.ts';
import { outputOf } from '../../output.ts';

interface ServeOptions {
  readonly listen: Address;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

export function register(group: Command, context: CliContext): void {
  group
    .command('serve')
    .description('serve the repository over HTTP, to try it out; any web server does it in production')
    .argument('<repo>', "the repository's directory")
    .addOption(
      new Option('--listen <address:port>', 'where to listen; port 0 takes a free one')
        .argParser(parseAddress)
        .default(parseAddress('127.0.0.1:8080'), '127.0.0.1:8080'),
    )
    .addHelpText('after', '\nExample:\n  osupd repo serve /srv/repo --listen 127.0.0.1:0')
    .action(async (repo: string, options: ServeOptions, command: Command) => {
      const { serveRepository } = await import('../../../repository/serve.ts');
      const output = outputOf(command, context);
      await using server = await serveRepository({
        directory: resolve(context.workingDirectory, repo),
        ...options.listen,
        onRequest: ({ method, path, status, bytes }) => {
          if (output.verbose) output.note(`${method} ${path} ${status} ${bytes}`);
        },
      });
      output.result({ url: server.url }, `serving ${repo} at ${server.url}`);
      // A server ends by being told to: that is no failure.
      if (!context.signal.aborted) await once(context.signal, 'abort');
    });
}

function parseAddress(text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new InvalidArgumentError('Write it like 127.0.0.1:8080 or [::1]:0.');
  return { host: match[1] ?? match[2] ?? '', port };
}
