import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../helpers/run-command.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { build, contentsOf, newPlace, text } from './fixture.ts';

const PROGRAM = resolve(import.meta.dirname, '../helpers/osupd-from-source.ts');
const base = temporaryDirectory();
let place: string;

/** Runs a command line, given as words, in the place of the test; gives what it printed. */
async function osupd(words: string, environment: Record<string, string> = {}): Promise<string> {
  const { status, stdout, stderr } = await runCommand(words.split(' '), place, environment);
  expect({ words, status, stderr }).toEqual({ words, status: 0, stderr: '' });
  return stdout;
}

async function json(words: string): Promise<Record<string, unknown>> {
  return JSON.parse(await osupd(`${words} --json`));
}

/** Runs a command line that must fail; gives status and message. */
async function failing(words: string, environment: Record<string, string> = {}): Promise<[number, string]> {
  const { status, stdout, stderr } = await runCommand(words.split(' '), place, environment);
  expect(status).not.toBe(0);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  return [status, stdout + stderr];
}

function makePlace(): void {
  place = newPlace(base);
}

async function publishBoth(): Promise<void> {
  const shared = text('shared', 50_000);
  await build(join(place, 'pool'), 'os@1', { a: text('a', 9000), shared });
  await build(join(place, 'pool'), 'os@2', { a: text('b', 9000), shared });
  await osupd('repo init repo --keys keys');
  for (const version of [1, 2])
    await osupd(`repo publish repo --keys keys --pool pool --effort 1 --quiet os@${version}`);
}

describe('osupd repo', () => {
  it('makes and fills a repository with the lines of the manual', async () => {
    makePlace();
    await build(join(place, 'pool'), 'os@1', { a: text('a', 9000), shared: text('s', 50_000) });
    await build(join(place, 'pool'), 'os@2', { a: text('a2', 9000), shared: text('s', 50_000) });
    const made = await osupd('repo init repo --keys keys');
    expect(made).toMatch(/^repo is an empty repository; devices trust it by repo\/metadata\/1\.root\.json\n/);
    expect(made).toMatch(/root +root-[0-9a-f]{8}\.json +keep it offline/);
    expect(readdirSync(join(place, 'keys'))).toHaveLength(7);
    expect(await osupd('repo publish repo --keys keys --pool pool os@1 -q')).toMatch(
      /^published os@1: image [0-9a-f]{12}, 2 objects of 59\.0 kB, 2 of them new, full delta of [\d.]+ kB\n$/,
    );
    expect(await osupd('repo publish repo --keys keys --pool pool --effort 1 os@1 -q')).toBe(
      'os@1 is published already: nothing changed\n',
    );
    await osupd('repo publish repo --keys keys --pool pool --effort 1 os@2 -q');
    expect(await osupd('repo delta repo --keys keys --effort 1 --from os@1 --to os@2 -q')).toMatch(
      /^delta from os@1 to os@2: .* without it /,
    );
    expect(await osupd('repo delta repo --keys keys --effort 1 --from os@1 --to os@2 -q')).toMatch(/nothing changed/);
    expect(await failing('repo delta repo --keys keys --from os@1 --to os@1')).toMatchObject([
      2,
      expect.stringContaining('have these images already'),
    ]);
    expect(await osupd('repo channel repo --keys keys stable os@2')).toBe('stable offers os@2\n');
    expect(await osupd('repo channel repo --keys keys stable os@2')).toBe('nothing changed\nstable offers os@2\n');
    expect(await osupd('repo verify repo -q')).toBe('good: 2 releases, 1 channel, 3 deltas, 3 objects\n');
    expect(await osupd('repo refresh repo --keys keys')).toBe('nothing was signed\n');
    expect(await osupd('repo refresh repo --keys keys --role timestamp')).toBe('signed timestamp\n');
  });

  it('has channels with ramps, halts and floors', async () => {
    makePlace();
    await publishBoth();
    const line = 'repo channel repo --keys keys beta os@2';
    const ramp = '--ramp 2030-03-03T06:00:00Z=100 --ramp 2030-03-01T06:00:00+01:00=2.5';
    expect(await json(`${line} ${ramp} --urgent --floor 1`)).toMatchObject({
      changed: true,
      channel: {
        releases: {
          os: {
            version: '2',
            ramp: [
              ['2030-03-01T05:00:00Z', 2.5],
              ['2030-03-03T06:00:00Z', 100],
            ],
            halted: false,
            urgent: true,
            floor: '1',
          },
        },
      },
    });
    expect(await osupd(`${line} --halt`)).toMatch(/ramp to 100 % .*, halted, urgent, nothing older than 1\)\n$/);
    expect(await osupd(`${line} --no-halt --no-urgent --ramp none`)).toBe('beta offers os@2 (nothing older than 1)\n');
    // Another version begins anew, but for the floor.
    await osupd(`${line} --halt --urgent`);
    expect(await osupd('repo channel repo --keys keys beta os@1')).toBe('beta offers os@1 (nothing older than 1)\n');
    expect(await osupd('repo channel repo beta')).toBe('beta offers os@1 (nothing older than 1)\n');
    expect(await failing('repo channel repo nothing')).toMatchObject([5, expect.stringContaining('no channel')]);
    expect(await failing('repo channel repo --keys keys beta os@9')).toMatchObject([
      5,
      expect.stringContaining('not published'),
    ]);
    expect(await failing('repo channel repo beta os@1')).toMatchObject([2, expect.stringContaining('--keys')]);
    expect(await failing('repo channel repo --keys keys beta os@1 os@2')).toMatchObject([
      2,
      expect.stringContaining('two of os'),
    ]);
    expect(await failing('repo channel repo --keys keys beta os@1 --floor 2')).toMatchObject([
      2,
      expect.stringContaining('older than the floor 2'),
    ]);
    expect(await failing(`${line} --ramp tomorrow=5`)).toMatchObject([2, expect.stringContaining('TIME=PERCENT')]);
    expect(await failing('repo channel repo --keys keys Beta os@1')).toMatchObject([
      2,
      expect.stringContaining('Beta'),
    ]);
  });

  it('shows defaults the way they are written', async () => {
    makePlace();
    expect(await osupd('repo prune --help')).toContain('(default: 7d)');
    expect(await osupd('repo serve --help')).toMatch(/\(default:\s+127\.0\.0\.1:8080\)/);
  });

  it('prunes, and says what stays for a while', async () => {
    makePlace();
    await publishBoth();
    const before = contentsOf(join(place, 'repo'));
    expect(await osupd('repo prune repo --keep 1 --dry-run')).toMatch(
      /^would remove os@1\nwould remove 0 files of 0 B; \d+ more files/,
    );
    expect(contentsOf(join(place, 'repo'))).toEqual(before);
    expect(await failing('repo prune repo --keep 1')).toMatchObject([5, expect.stringContaining('role "releases"')]);
    expect(await osupd('repo prune repo --keys keys --keep 1 --grace 0')).toMatch(/^removed os@1\nremoved \d+ files/);
    expect(await osupd('repo verify repo -q')).toBe('good: 1 release, 0 channels, 1 delta, 2 objects\n');
    expect(await failing('repo prune repo --grace soon')).toMatchObject([2, expect.stringContaining('90d')]);
  });

  it('verifies with exit status 10 and a line for each problem', async () => {
    makePlace();
    await publishBoth();
    const [image] = readdirSync(join(place, 'repo/images'));
    rmSync(join(place, 'repo/images', image ?? ''));
    const [status, output] = await failing('repo verify repo -q');
    expect(status).toBe(10);
    expect(output).toMatch(new RegExp(`^.*images/${image}: it is missing\nosupd: repo verify: repo: 1 problem`));
    expect(await failing('repo verify nothing -q')).toMatchObject([5, expect.stringContaining('no repository')]);
  });

  it('signs step by step where keys are in different places', async () => {
    makePlace();
    await publishBoth();
    await build(join(place, 'pool'), 'os@3', { a: 'three' });
    expect(await failing('key list --keys offline')).toMatchObject([5, expect.stringContaining('there is no key')]);
    const [file] = readdirSync(join(place, 'keys')).filter((name) => name.startsWith('releases'));
    const key = readFileSync(join(place, 'keys', file ?? ''));
    rmSync(join(place, 'keys', file ?? ''));
    expect(await failing('repo publish repo --keys keys --pool pool --effort 1 os@3 --no-full -q')).toMatchObject([
      5,
      expect.stringContaining('"releases"'),
    ]);
    expect(await osupd('repo publish repo --keys keys --pool pool --effort 1 os@3 --no-full --sign-later -q')).toMatch(
      /not public yet: waiting for signatures of releases/,
    );
    expect(await osupd('repo sign repo')).toMatch(
      /^releases version 4, until .*: 0 of 1 signatures\n {2}\+ releases\/os\/3\.json\n$/,
    );
    writeFileSync(join(place, 'keys', file ?? ''), key, { mode: 0o600 });
    expect(await osupd('repo sign repo --keys keys')).toMatch(/published\n$/);
    expect(await failing('repo sign repo')).toMatchObject([3, expect.stringContaining('nothing waits')]);
    expect(await failing('repo sign repo --keys keys')).toMatchObject([3, expect.stringContaining('nothing waits')]);
    expect(await osupd('repo sign repo --discard')).toMatch(/dropped/);
  });

  it('rotates keys', async () => {
    makePlace();
    await publishBoth();
    expect(await osupd('repo rotate repo --keys keys timestamp')).toMatch(
      /^role "timestamp" is signed by 1 of [0-9a-f]{8}\nnew key: .*timestamp-/,
    );
    expect(await failing('repo rotate repo --keys keys king')).toMatchObject([2, expect.stringContaining('releases')]);
    expect(await osupd('repo verify repo -q')).toMatch(/^good/);
  });

  it('serves until it is told to stop', async () => {
    makePlace();
    await osupd('repo init repo --keys keys');
    const words = ['repo', 'serve', join(place, 'repo'), '--listen', '127.0.0.1:0', '--verbose'];
    const child = spawn(process.execPath, [PROGRAM, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    const errors: string[] = [];
    child.stderr.on('data', (part) => errors.push(String(part)));
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(line)?.[0];
    expect((await fetch(`${url}metadata/1.root.json`)).status).toBe(200);
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(errors.join('')).toMatch(/^osupd: GET \/metadata\/1\.root\.json 200 \d+\n$/);
    expect(await failing('repo serve repo --listen 8080')).toMatchObject([
      2,
      expect.stringContaining('127.0.0.1:8080'),
    ]);
  });
});

describe('osupd key', () => {
  beforeAll(makePlace);

  it('makes, lists and exports keys', async () => {
    const made = (await json('key generate --keys own --role root --role targets')) as { file: string; keyId: string };
    expect(made).toMatchObject({ roles: ['root', 'targets'], signsBy: 'private-key' });
    const pem = await osupd(`key export ${made.keyId.slice(0, 8)} --keys own`);
    expect(pem).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
    writeFileSync(join(place, 'root.pem'), pem);
    expect(await osupd('key add root.pem --keys other --role root')).toMatch(/public half only/);
    expect(await osupd('key add root.pem --keys hsm --role root -- ./sign --slot 1')).toMatch(/command \.\/sign/);
    const { keys } = await json('key list --keys hsm');
    expect(keys).toMatchObject([{ keyId: made.keyId, roles: ['root'], signsBy: 'command' }]);
    expect(readFileSync(made.file, 'utf8')).toContain('BEGIN PRIVATE KEY');
    for (const words of [`key export ${made.keyId} --keys none`, 'key export 12 --keys own']) {
      expect(await failing(words)).toMatchObject([5, expect.stringContaining('there is no key')]);
    }
    expect(await failing('key add nothing.pem --keys other --role root')).toMatchObject([
      2,
      expect.stringContaining('PEM'),
    ]);
    expect(await failing('key generate --keys own --role king')).toMatchObject([2, expect.stringContaining('king')]);
  });

  it('encrypts keys with a passphrase from the environment or a file', async () => {
    writeFileSync(join(place, 'secret'), 'a passphrase\nand another line\n');
    await osupd('repo init encrypted --keys locked --passphrase-file secret');
    expect(await osupd('key list --keys locked')).toMatch(/encrypted private key/);
    const refresh = 'repo refresh encrypted --keys locked --role timestamp';
    expect(await osupd(refresh, { OSUPD_PASSPHRASE: 'a passphrase' })).toBe('signed timestamp\n');
    expect(await osupd(`${refresh} --passphrase-file secret`)).toBe('signed timestamp\n');
    expect(await failing(refresh)).toMatchObject([2, expect.stringContaining('OSUPD_PASSPHRASE')]);
    expect(await failing(refresh, { OSUPD_PASSPHRASE: 'wrong' })).toMatchObject([2, expect.stringContaining('wrong')]);
  });

  it('are made for a repository with thresholds and lifetimes', async () => {
    for (let count = 0; count < 2; count++) await osupd('key generate --keys many --role root');
    await osupd('repo init thresholds --keys many --threshold root=2 --expires timestamp=12h');
    const read = (name: string) => JSON.parse(readFileSync(join(place, 'thresholds/metadata', name), 'utf8')).signed;
    expect(read('1.root.json').roles.root).toMatchObject({ threshold: 2 });
    expect(read('timestamp.json').expires).toBe('2030-01-02T00:00:00Z');
    for (const words of ['--threshold root=0', '--threshold root', '--expires king=1d', '--expires root=1']) {
      expect((await failing(`repo init other --keys many ${words}`))[0]).toBe(2);
    }
  });
});
