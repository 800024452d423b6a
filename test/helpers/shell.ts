/** A shell script that prints `ready`, then waits in `read _` until the test lets it go on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export class WaitingShell {
  readonly #child: ChildProcess;
  #output = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.on('data', (chunk: Buffer) => {
      this.#output += chunk.toString('latin1');
    });
  }

  /**
   * Starts `before; echo ready; read _; after` and waits until it is ready.
   * @param prefix a program and arguments that start the shell.
   */
  static async start(script: {
    before?: string;
    after: string;
    cwd?: string;
    prefix?: string[];
  }): Promise<WaitingShell> {
    const text = `${script.before ?? ':'}; echo ready; read _; ${script.after}`;
    const [program = '', ...args] = [...(script.prefix ?? []), 'sh', '-c', text];
    const child = spawn(program, args, { cwd: script.cwd, stdio: ['pipe', 'pipe', 'inherit'] });
    const shell = new WaitingShell(child);
    while (!shell.#output.startsWith('ready\n')) {
      if (child.exitCode !== null) throw new Error(`the script ended with ${child.exitCode}`);
      await once(child.stdout, 'data');
    }
    return shell;
  }

  /** Lets the script go on to its end, and gives what it printed. */
  async finish(): Promise<string> {
    this.#child.stdin?.end('\n');
    await once(this.#child, 'close');
    return this.#output.slice('ready\n'.length);
  }
}
