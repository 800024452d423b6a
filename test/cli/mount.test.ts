import { mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { beforeAll, expect, it } from 'vitest';
import { run } from '../../src/cli/main.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { describeWith } from '../helpers/requirements.ts';
import { longText, TestPool } from '../helpers/stack.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();

/** Runs a command line in this process, whose mount namespace is a test's own. */
async function osupd(...argv: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const status = await run(argv, {
    environment: {},
    workingDirectory: directory,
    now: () => new Date(0),
    stdout,
    stderr,
    stdin: new PassThrough(),
    signal: new AbortController().signal,
    version: '0',
  });
  return { status, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') };
}

describeWith(['root'], 'osupd mount and unmount', () => {
  let pool: TestPool;
  let image: string;
  let app: string;
  const root = join(directory, 'mnt');

  beforeAll(() => {
    enterMountNamespace();
    pool = new TestPool(directory);
    image = pool.addImage({ who: 'os', 'usr/os': longText('os') });
    app = pool.addImage({ who: 'app', 'usr/app': longText('app') });
    mkdirSync(root);
  });

  it('mount images, the topmost first, replace them live, and unmount them', async () => {
    expect(await osupd('mount', image, root, '--pool', pool.directory)).toEqual({
      status: 0,
      stdout: `mounted 1 image at ${root} (objects are not checked by the kernel)\n`,
      stderr: '',
    });
    const both = ['mount', app, basename(image), root, '--pool', pool.directory, '--json'];
    const refused = await osupd(...both);
    expect(refused.status).toBe(8);
    expect(JSON.parse(refused.stderr).error).toMatchObject({ code: 'busy', where: root });
    const replaced = await osupd(...both, '--replace');
    expect(JSON.parse(replaced.stdout)).toEqual({
      directory: root,
      images: [app, image],
      verity: false,
      replaced: true,
    });
    expect(readFileSync(join(root, 'who'), 'utf8')).toBe('app');
    expect(readFileSync(join(root, 'usr/os'), 'utf8')).toBe(longText('os'));
    expect(await osupd('unmount', root)).toEqual({ status: 0, stdout: `unmounted ${root}\n`, stderr: '' });
    expect((await osupd('unmount', root)).status).toBe(5);
  });

  it('say what is wrong in one line', async () => {
    for (const [argv, status, text] of [
      [['mount', root, '--pool', pool.directory], 2, /there must be one image or more/],
      [['mount', image, root], 2, /--pool/],
      [['mount', image, root, '--pool', '/nowhere'], 5, /\/nowhere: not an object pool/],
      [['mount', '/nowhere', root, '--pool', pool.directory], 5, /\/nowhere/],
      [['mount', image, '/nowhere', '--pool', pool.directory], 5, /\/nowhere/],
      [['unmount', '/'], 5, /no stack is mounted here/],
    ] as const) {
      const result = await osupd(...argv);
      expect([result.status, result.stdout], argv.join(' ')).toEqual([status, '']);
      expect(result.stderr).toMatch(text);
      expect(result.stderr.split('\n')).toHaveLength(2);
    }
  });
});
