import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = resolve(import.meta.dirname, '../src');

/** The street: a folder imports only from folders before it, and from itself. */
const STREET = [
  'core',
  'sys',
  'transport',
  'tree',
  'objects',
  'image',
  'delta',
  'repository',
  'pull',
  'deploy',
  'rollout',
  'install',
  'cli',
];

interface Import {
  readonly file: string;
  readonly target: string;
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
const imports: Import[] = files.flatMap((file) => {
  const text = readFileSync(join(SRC, file), 'utf8');
  const found = text.matchAll(/(?:^|\n)\s*(?:import|export)\b[^;'"]*?from\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g);
  return [...found].map((match) => ({ file, target: match[1] ?? match[2] ?? '' }));
});

const folderOf = (file: string) => file.split('/')[0] ?? '';

describe('the arrows between folders', () => {
  it('every folder of src is on the street', () => {
    const folders = readdirSync(SRC, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(folders.map((entry) => entry.name).filter((name) => !STREET.includes(name))).toEqual([]);
  });

  it('imports point one way', () => {
    const wrong = imports
      .filter(({ file, target }) => file.includes('/') && target.startsWith('.'))
      .map(({ file, target }) => ({ file, to: relative(SRC, resolve(SRC, dirname(file), target)) }))
      .filter(({ file, to }) => STREET.indexOf(folderOf(to)) > STREET.indexOf(folderOf(file)) || to.startsWith('..'));
    expect(wrong).toEqual([]);
  });

  it('native calls are made in src/sys alone', () => {
    expect(imports.filter(({ file, target }) => target === 'koffi' && folderOf(file) !== 'sys')).toEqual([]);
  });

  it('the command line library is used in src/cli alone', () => {
    expect(imports.filter(({ file, target }) => target === 'commander' && folderOf(file) !== 'cli')).toEqual([]);
  });

  it('environment, clock, terminal and process come from src/cli', () => {
    const pattern =
      /\bprocess\.(env|argv|stdout|stderr|stdin|exit|cwd|on)\b|\bDate\.now\(\)|\bnew Date\(\)|\bMath\.random\(\)|\bconsole\./;
    const code = (file: string) => readFileSync(join(SRC, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    expect(files.filter((file) => folderOf(file) !== 'cli' && pattern.test(code(file)))).toEqual([]);
  });
});
