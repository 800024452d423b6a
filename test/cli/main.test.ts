import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runOsupd } from '../helpers/osupd.ts';

describe('the command line', () => {
  it('prints the version of package.json', () => {
    const { version } = JSON.parse(readFileSync(resolve(import.meta.dirname, '../../package.json'), 'utf8')) as {
      version: string;
    };
    expect(runOsupd(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('every command has help with a description and an example', () => {
    const { COMMAND_PATHS } = helpPaths();
    for (const path of COMMAND_PATHS) {
      const { status, stdout } = runOsupd([...path, '--help']);
      expect(status, path.join(' ')).toBe(0);
      expect(stdout, path.join(' ')).toMatch(/^Usage: osupd/);
      // A group has its examples in its commands.
      expect(stdout, path.join(' ')).toMatch(/\n(Examples?|Commands):/);
    }
  }, 120_000);

  it('an unknown command is a usage error in one line', () => {
    const { status, stdout, stderr } = runOsupd(['biuld']);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toBe("osupd: unknown command 'biuld' (Did you mean build?); see osupd --help\n");
  });

  it('an unknown option names the command', () => {
    const { status, stderr } = runOsupd(['repo', 'publish', 'x', '--keys', 'k', '--pool', 'p', 'os@1', '--nope']);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^osupd: repo publish: unknown option '--nope'/);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('errors are JSON with --json, with the exit status inside', () => {
    const { status, stderr } = runOsupd(['status', '--root', '/nonexistent/root', '--json']);
    expect(status).toBe(5);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'not-found', command: 'status', exitStatus: 5 } });
  });

  it('global options are understood before and after the command', () => {
    const before = runOsupd(['--root', '/nonexistent/root', 'status']);
    const after = runOsupd(['status', '--root', '/nonexistent/root']);
    expect(before).toEqual(after);
    expect(before.status).toBe(5);
  });

  it('no command at all prints the help and is a usage error', () => {
    const { status, stderr } = runOsupd([]);
    expect(status).toBe(2);
    expect(stderr).toContain('Usage: osupd');
  });

  it.each(['bash', 'zsh', 'fish'])('completion for %s knows the commands', (shell) => {
    const { status, stdout } = runOsupd(['completion', shell]);
    expect(status).toBe(0);
    for (const word of ['build', 'publish', 'rollback']) expect(stdout).toContain(word);
  });
});

/** Every command and subcommand, read from the help itself. */
function helpPaths(): { COMMAND_PATHS: string[][] } {
  const commandsOf = (path: string[]) => {
    const section = /\nCommands:\n([\s\S]*?)(\n\n|$)/.exec(runOsupd([...path, '--help']).stdout)?.[1] ?? '';
    return [...section.matchAll(/^ {2}([a-z][a-z-]*)/gm)]
      .map((match) => match[1] ?? '')
      .filter((name) => name !== 'help');
  };
  const top = commandsOf([]).map((name) => [name]);
  return { COMMAND_PATHS: [...top, ...top.flatMap((path) => commandsOf(path).map((name) => [...path, name]))] };
}
