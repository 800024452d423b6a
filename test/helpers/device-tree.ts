/** A real Debian system for virtual machines: examples/device-tree, made once, and the osupd of this checkout as a layer over it. */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { sha256Of } from '../../src/core/sha256.ts';

const CHECKOUT = resolve(import.meta.dirname, '../..');
const RECIPE = join(CHECKOUT, 'examples/device-tree');
const MODULE = 'usr/lib/node_modules/osupd';

/** Directory of the system. What is in its initramfs is of this checkout, or it is made again. */
export function deviceTree(): string {
  const files = [
    RECIPE,
    ...readdirSync(join(CHECKOUT, 'systemd'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .sort(),
  ];
  const recipe = sha256Of(Buffer.concat(files.map((file) => readFileSync(file)))).slice(0, 12);
  const cache = process.env.OSUPD_TEST_CACHE ?? join(homedir(), '.cache/osupd-test');
  const path = join(cache, `device-${recipe}`);
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  try {
    execFileSync(RECIPE, [unfinished], { stdio: ['ignore', 'ignore', 'pipe'] });
    renameSync(unfinished, path);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return path;
}

/** A layer with osupd as the sources are now. */
export function osupdLayer(directory: string): string {
  const module = join(directory, MODULE);
  mkdirSync(module, { recursive: true });
  execFileSync(
    process.execPath,
    [join(CHECKOUT, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--outDir', join(module, 'dist')],
    {
      cwd: CHECKOUT,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  cpSync(join(CHECKOUT, 'package.json'), join(module, 'package.json'));
  return directory;
}

/** A layer of files: paths to contents, or to a link's target; all programs. */
export function filesLayer(
  directory: string,
  files: Readonly<Record<string, string | Uint8Array | { readonly link: string }>>,
): string {
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    if (typeof content === 'string' || content instanceof Uint8Array) writeFileSync(path, content, { mode: 0o755 });
    else symlinkSync(content.link, path);
  }
  return directory;
}
