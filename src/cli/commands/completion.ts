/** `osupd completion SHELL`: completion scripts made from the commands and options as they are. */
import type { Command } from 'commander';
import { Argument } from 'commander';
import { COMMANDS, loadCommand } from '../commands.ts';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';

/** Options and subcommands of one command path (`repo publish`). */
interface Words {
  readonly path: string;
  readonly description: string;
  readonly words: readonly string[];
}

export function register(program: Command, context: CliContext): void {
  program
    .command('completion')
    .description('print a completion script for a shell')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', '\nExample:\n  osupd completion bash > /etc/bash_completion.d/osupd')
    .action(async (shell: string, _options: object, command: Command) => {
      const table = await collectWords(program, context);
      const text = shell === 'fish' ? fishScript(table) : bashScript(table, shell === 'zsh');
      outputOf(command, context).result({ shell, script: text }, text);
    });
}

async function collectWords(program: Command, context: CliContext): Promise<Words[]> {
  for (const { name } of COMMANDS) {
    if (!program.commands.some((command) => command.name() === name))
      (await loadCommand(name))?.register(program, context);
  }
  const optionWords = (command: Command) =>
    command.options.map((option) => option.long ?? option.short ?? '').filter((word) => word !== '');
  const common = [...optionWords(program), '--help'];
  const table: Words[] = [
    { path: '', description: '', words: [...program.commands.map((command) => command.name()), ...common] },
  ];
  const visit = (command: Command, path: string) => {
    const words = [...command.commands.map((sub) => sub.name()), ...optionWords(command), ...common];
    table.push({ path, description: command.description(), words });
    for (const sub of command.commands) visit(sub, `${path} ${sub.name()}`);
  };
  for (const command of program.commands) visit(command, command.name());
  return table;
}

function bashScript(table: readonly Words[], zsh: boolean): string {
  const cases = table.map(({ path, words }) => `    '${path}') words='${words.join(' ')}' ;;`).join('\n');
  return `${zsh ? '#compdef osupd\nautoload -U +X bashcompinit && bashcompinit\n' : ''}_osupd() {
  local current=\${COMP_WORDS[COMP_CWORD]} path='' word words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path" in '') [[ $word == -* ]] || path=$word ;; image|delta|key|repo) [[ $word == -* ]] || path="$path $word" ;; esac
  done
  case "$path" in
${cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _osupd osupd
`;
}

function fishScript(table: readonly Words[]): string {
  const quote = (text: string) => `'${text.replace(/['\\]/g, '\\$&')}'`;
  const lines = ['complete -c osupd -f'];
  for (const { path, description, words } of table) {
    const parts = path.split(' ').filter((part) => part !== '');
    const last = parts.at(-1);
    if (last !== undefined) {
      const seen = parts.length === 1 ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${parts[0]}`;
      lines.push(`complete -c osupd -n ${quote(seen)} -a ${quote(last)} -d ${quote(description)}`);
    }
    const condition = parts.map((part) => `__fish_seen_subcommand_from ${part}`).join('; and ');
    for (const word of words.filter((each) => each.startsWith('--'))) {
      lines.push(`complete -c osupd${condition === '' ? '' : ` -n ${quote(condition)}`} -l ${quote(word.slice(2))}`);
    }
  }
  return `${lines.join('\n')}\n`;
}
