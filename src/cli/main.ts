/** The command line: finds the command, runs it, turns what it throws into one line and an exit status. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { EXIT_STATUS, OsupdError, toOsupdError } from '../core/errors.ts';
import { COMMANDS, loadCommand } from './commands.ts';
import type { CliContext } from './context.ts';
import { renderError } from './output.ts';

/** Runs one command line (without node and script). Returns the exit status; prints errors on standard error. */
export async function run(argv: readonly string[], context: CliContext): Promise<number> {
  const program = await buildProgram(argv, context);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return usageStatus(error, argv, context);
    const failure = toOsupdError(error);
    // The reader of our output went away (`osupd image dump X | head`): no news for anybody.
    if ((failure.cause as NodeJS.ErrnoException | undefined)?.code === 'EPIPE') return 0;
    context.stderr.write(renderError(failure, commandName(argv), globalOptions(argv)));
    return failure.exitStatus;
  }
}

/** Only the module of the command that was asked for is loaded: a pull that finds nothing to do starts no other code. */
async function buildProgram(argv: readonly string[], context: CliContext): Promise<Command> {
  const program = new Command('osupd');
  program
    .description(
      'Update operating system and application images: composefs trees over one object pool, moved by deltas.',
    )
    .option('--json', 'print results and errors as JSON')
    .option('-q, --quiet', 'print errors only')
    .option('-v, --verbose', 'print more: alternatives, decisions, stacks of errors')
    .option('--root <dir>', "the device's state directory (default: /sysroot/osupd or /var/lib/osupd)")
    .option('--config <file>', 'read this configuration instead of the one in /etc and /usr/lib')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      outputError: () => {},
    })
    .addHelpText('after', EXIT_HELP);
  const first = words(argv)[0];
  // Not beside a command: `osupd build` has an option of this name.
  if (first === undefined) program.version(context.version, '--version', 'print the version');
  const names = COMMANDS.some((command) => command.name === first)
    ? [first ?? '']
    : COMMANDS.map((command) => command.name);
  for (const each of names) {
    const module = await loadCommand(each);
    if (module === undefined) throw new OsupdError('internal', `command ${each} has no module`);
    module.register(program, context);
  }
  inheritSettings(program);
  return program;
}

/** commander copies settings to subcommands that are made by `.command()`, but not those set after; make all of them throw. */
function inheritSettings(command: Command): void {
  for (const sub of command.commands) {
    sub.copyInheritedSettings(command).exitOverride();
    inheritSettings(sub);
  }
}

const EXIT_HELP = `
Exit status: 0 done, 1 failed, 2 usage, 3 nothing to do, 4 verification failed, 5 not found, 6 network,
7 no space, 8 busy, 9 not supported here, 10 damaged, 11 held back by the rollout.

Example:
  osupd build ./tree --name os --version 1 --pool ./pool`;

function usageStatus(error: CommanderError, argv: readonly string[], context: CliContext): number {
  // Help and version are not failures; asking for help by giving no command is one.
  if (error.exitCode === 0) return 0;
  if (error.code === 'commander.help') return EXIT_STATUS.usage;
  const message = error.message.replace(/^error: /, '').replace(/\n\(?(Did you mean [^)]*)\)?/, ' ($1)');
  const failure = new OsupdError('usage', message, { remedy: 'see osupd --help' });
  context.stderr.write(renderError(failure, commandName(argv), globalOptions(argv)));
  return failure.exitStatus;
}

/** Global options whose value is a word of its own. */
const VALUED = new Set(['--root', '--config']);

/** The words of a command line that are neither options nor values of the global ones; the first is the command. */
function words(argv: readonly string[]): string[] {
  return argv.filter((word, at) => !word.startsWith('-') && !VALUED.has(argv[at - 1] ?? ''));
}

/** The command of a command line, for messages: `repo publish`. */
function commandName(argv: readonly string[]): string {
  const [name, sub] = words(argv);
  const command = COMMANDS.find((each) => each.name === name);
  if (command === undefined) return '';
  return command.group && sub !== undefined ? `${command.name} ${sub}` : command.name;
}

function globalOptions(argv: readonly string[]): { json: boolean; verbose: boolean } {
  return { json: argv.includes('--json'), verbose: argv.includes('--verbose') || argv.includes('-v') };
}

/** The entry point of bin/osupd.js: the real process, terminal, clock and signals. Sets process.exitCode. */
export async function main(): Promise<void> {
  const interrupted = new AbortController();
  let signals = 0;
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      // The first asks for a clean end; a second one does not wait for it.
      if (++signals > 1) process.exit(EXIT_STATUS.interrupted);
      interrupted.abort(
        new OsupdError('interrupted', `interrupted by ${name}`, { remedy: 'run the command again to go on' }),
      );
    });
  }
  // A closed pipe surfaces as an error event on the stream as well as in the write that failed.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
  }
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  process.exitCode = await run(process.argv.slice(2), {
    environment: process.env,
    workingDirectory: process.cwd(),
    now: () => new Date(),
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    signal: interrupted.signal,
    version,
  });
}
