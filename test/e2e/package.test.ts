import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../helpers/temporary.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

describe('the package as users install it', () => {
  it('npm pack and npm install -g give an osupd that runs, without the pinned runtime', () => {
    const directory = temporaryDirectory();
    const npm = (...args: string[]) =>
      execFileSync('npm', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    const [packed] = JSON.parse(npm('pack', '--json', '--ignore-scripts', '--pack-destination', directory)) as {
      filename: string;
      files: { path: string }[];
    }[];
    const paths = packed?.files.map((file) => file.path) ?? [];
    expect(paths).toContain('bin/osupd.js');
    expect(paths).toContain('dist/cli/main.js');
    expect(paths.filter((path) => /^(src|test|bench|examples|runtime)\//.test(path))).toEqual([]);

    const prefix = join(directory, 'prefix');
    npm('install', '--global', '--prefix', prefix, '--no-audit', '--no-fund', join(directory, packed?.filename ?? ''));
    expect(spawnSync('find', [prefix, '-name', 'node-linux-*'], { encoding: 'utf8' }).stdout).toBe('');

    const installed = join(prefix, 'bin/osupd');
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [installed, ...args], { cwd: directory, encoding: 'utf8' });
    expect(run('--version').stdout).toBe(`${version}\n`);
    const dump = '/ 0 40755 2 0 0 0 0.0 - - -\n';
    const written = spawnSync(
      process.execPath,
      [installed, 'image', 'write', '--from-dump', '-', 'empty.cfs', '--print-digest'],
      {
        cwd: directory,
        encoding: 'utf8',
        input: dump,
      },
    );
    expect(written.stderr).toBe('');
    // Pinned in composefs-rs' tests as the digest of an empty root.
    expect(written.stdout.slice(0, 12)).toBe('8f589e8f57ec');
  }, 180_000);

  it('an older Node.js without a pinned one gets one line that names what is needed, and still tells the version', () => {
    const directory = temporaryDirectory();
    cpSync(join(ROOT, 'bin'), join(directory, 'bin'), { recursive: true });
    cpSync(join(ROOT, 'package.json'), join(directory, 'package.json'));
    const older = `data:text/javascript,Object.defineProperty(process.versions, 'node', { value: '22.1.0' })`;
    const run = (...args: string[]) =>
      spawnSync(process.execPath, ['--import', older, join(directory, 'bin/osupd.js'), ...args], { encoding: 'utf8' });
    expect(run('--version').stdout).toBe(`${version}\n`);
    const refused = run('status');
    expect(refused.stderr).toBe('osupd: Node.js 22.1.0 is too old; install Node.js 24.15 or newer\n');
    expect(refused.status).toBe(9);
  });
});
