/**
 * Two versions of a real tree, without root: Debian packages as apt has them, or, where there is no apt, the machine's own
 * programs. Each tree is a list of tars, base first: one package a layer.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';

export interface Trees {
  readonly origin: string;
  readonly os: readonly [Layers, Layers];
  readonly app: Layers;
  /** Paths of files in the tree that differ between the two versions and should always be readable. */
  readonly probe: string;
}

export interface Layers {
  readonly label: string;
  readonly sources: readonly string[];
}

interface PackageVersion {
  readonly name: string;
  readonly version: string;
}

const OS_PACKAGES = [
  'openssl',
  'libssl3',
  'perl-base',
  'libpython3.11-minimal',
  'libpython3.11-stdlib',
  'python3.11-minimal',
  'libexpat1',
  'rsync',
  'nginx',
];
const APP_PACKAGES = ['jq', 'libjq1', 'less'];
const PROBE = 'usr/bin/openssl';

/** Puts what it makes below `directory`. */
export function realTrees(directory: string): Trees {
  return debianTrees(directory) ?? ownTrees(directory);
}

/** The newest two versions of each package; undefined where apt, dpkg or the package lists are missing. */
function debianTrees(directory: string): Trees | undefined {
  const apt = aptOptions(directory);
  if (apt === undefined) return undefined;
  const versions = (name: string) => {
    const lines = execFileSync('apt-cache', [...apt, 'madison', name], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const found = [
      ...new Set(
        lines
          .split('\n')
          .map((line) => line.split('|')[1]?.trim() ?? '')
          .filter((version) => version !== ''),
      ),
    ];
    return found.sort((a, b) => (newer(a, b) ? -1 : 1));
  };
  const chosen = OS_PACKAGES.map((name) => ({ name, versions: versions(name) })).filter(
    (each) => each.versions.length > 0,
  );
  const openssl = chosen.find((each) => each.name === 'openssl');
  if (openssl === undefined || openssl.versions.length < 2) return undefined;
  const layers = (folder: string, packages: PackageVersion[]): Layers => ({
    label: packages.map(({ name, version }) => `${name} ${version}`).join(', '),
    sources: packageTars(join(directory, folder), apt, packages),
  });
  const app = APP_PACKAGES.map((name) => ({ name, version: versions(name)[0] ?? '' })).filter(
    (each) => each.version !== '',
  );
  return {
    origin: 'Debian packages',
    os: [
      layers(
        'os-1',
        chosen.map((each) => ({ name: each.name, version: each.versions[1] ?? each.versions[0] ?? '' })),
      ),
      layers(
        'os-2',
        chosen.map((each) => ({ name: each.name, version: each.versions[0] ?? '' })),
      ),
    ],
    app: layers('app', app),
    probe: PROBE,
  };
}

function newer(a: string, b: string): boolean {
  try {
    execFileSync('dpkg', ['--compare-versions', a, 'gt', b], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Options for apt so that it has package lists: the machine's own where there are any, else lists of this directory's. */
function aptOptions(directory: string): string[] | undefined {
  const known = (options: string[]) => {
    try {
      return execFileSync('apt-cache', [...options, 'madison', 'openssl'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).includes('|');
    } catch {
      return false;
    }
  };
  // apt's own download user cannot write to a private directory; whoever runs this downloads.
  const shared = ['-o', `APT::Sandbox::User=${userInfo().username}`];
  if (known([])) return shared;
  for (const part of ['state/lists/partial', 'cache/archives/partial'])
    mkdirSync(join(directory, 'apt', part), { recursive: true });
  const own = [
    ...['-o', `Dir::State=${join(directory, 'apt/state')}`, '-o', `Dir::Cache=${join(directory, 'apt/cache')}`],
    ...['-o', 'Dir::State::status=/var/lib/dpkg/status'],
    ...shared,
  ];
  try {
    execFileSync('apt-get', [...own, 'update', '-q'], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  return known(own) ? own : undefined;
}

/** Downloads packages and gives the tree of each as a tar, with the owners that the package says. */
function packageTars(directory: string, apt: readonly string[], packages: readonly PackageVersion[]): string[] {
  mkdirSync(directory, { recursive: true });
  const wanted = packages.map(({ name, version }) => `${name}=${version}`);
  execFileSync('apt-get', [...apt, '-q', 'download', ...wanted], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return packages.map(({ name }) => {
    const archive = readdirSync(directory).find((file) => file.startsWith(`${name}_`) && file.endsWith('.deb'));
    if (archive === undefined) throw new Error(`apt-get download gave no package of ${name}`);
    const tar = join(directory, `${name}.tar`);
    writeFileSync(tar, execFileSync('dpkg-deb', ['--fsys-tarfile', join(directory, archive)], { maxBuffer: 1 << 30 }));
    rmSync(join(directory, archive));
    return tar;
  });
}

/** About 40 MB of this machine's programs; the second version drops some, adds some and changes bytes in others. */
function ownTrees(directory: string): Trees {
  const programs = readdirSync('/usr/bin').flatMap((name) => {
    const found = statSync(join('/usr/bin', name), { throwIfNoEntry: false });
    if (found === undefined || !found.isFile() || (found.mode & 0o004) === 0) return [];
    return found.size > 1000 && found.size < 4_000_000 ? [{ name, size: found.size }] : [];
  });
  let total = 0;
  const picked: string[] = [];
  for (const { name, size } of programs) {
    total += size;
    if (total < 40_000_000) picked.push(name);
  }
  const tree = (folder: string, names: readonly string[], change: (name: string, bytes: Buffer) => Buffer): string => {
    const bin = join(directory, folder, 'usr/bin');
    mkdirSync(bin, { recursive: true });
    for (const name of names) {
      copyFileSync(join('/usr/bin', name), join(bin, name));
      writeFileSync(join(bin, name), change(name, readFileSync(join(bin, name))));
    }
    return join(directory, folder);
  };
  const edited = new Set(picked.filter((_, at) => at % 7 === 0));
  const edit = (name: string, bytes: Buffer) =>
    edited.has(name) ? Buffer.concat([bytes, Buffer.from('a second version\n')]) : bytes;
  const first = picked.slice(0, -5);
  const second = picked.filter((_, at) => at === 0 || at % 11 !== 5);
  return {
    origin: "this machine's own programs (no apt here)",
    os: [
      { label: `${first.length} programs`, sources: [tree('os-1', first, (_, bytes) => bytes)] },
      { label: `${second.length} programs`, sources: [tree('os-2', second, edit)] },
    ],
    app: { label: 'one program', sources: [tree('app', picked.slice(0, 1), (_, bytes) => bytes)] },
    probe: `usr/bin/${picked[0]}`,
  };
}
