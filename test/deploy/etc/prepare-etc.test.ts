/** The merge of /etc with changes that real tools make through an overlay of the kernel: attributes, links, special files, accounts. */
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { removeEtc } from '../../../src/deploy/etc/etc-directory.ts';
import { changesLostByRollback, localChanges } from '../../../src/deploy/etc/local-changes.ts';
import { type EtcRequest, prepareEtc } from '../../../src/deploy/etc/prepare-etc.ts';
import { type EtcReport, formatEtcReport } from '../../../src/deploy/etc/report.ts';
import { EtcDevice, NEW, noObjects, OLD } from '../../helpers/etc-device.ts';
import { mountFileSystem, unmountFileSystems } from '../../helpers/file-systems.ts';
import { enterMountNamespace } from '../../helpers/mount-namespace.ts';
import { describeWith } from '../../helpers/requirements.ts';
import { temporaryDirectory } from '../../helpers/temporary.ts';

const directory = temporaryDirectory();

/** What the default has in its first version; `next` makes the second one of it. */
const DEFAULT = `
  printf 'root:x:0:0::/root:/bin/bash\\n' > passwd
  printf 'root:*:19000::::::\\n' > shadow; chmod 640 shadow; chown 0:42 shadow
  printf '# comment\\nPort 22\\n\\n# more\\nUsePAM yes\\n' > sshd_config
  printf 'a\\nb\\n' > both; printf 'gone\\n' > obsolete; printf 'x' > mode
  mkdir -p conf.d; printf one > conf.d/one; printf two > conf.d/two
  ln -s ../usr/zone localtime; printf cache1 > ld.so.cache
`;

describeWith(['root', 'setfacl', 'setfattr'], 'a merge of /etc', () => {
  let disk = '';
  let etc: EtcDevice;
  beforeAll(() => {
    enterMountNamespace();
    disk = mountFileSystem(directory, 'ext4');
  });
  beforeEach(async () => {
    etc = await EtcDevice.create(disk);
    for (const each of [etc.old, etc.new]) {
      mkdirSync(each);
      sh(DEFAULT, each);
    }
  });
  afterEach(() => etc.unmountAll());
  afterAll(unmountFileSystems);

  function sh(script: string, cwd: string): void {
    execFileSync('bash', ['-ec', script], { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
  }

  /** Changes the running /etc as an administrator, and the default as a new image. */
  function change(here: string, there = ''): string {
    sh(there, etc.new);
    const mounted = etc.mount(OLD);
    sh(here, mounted);
    return mounted;
  }

  const request = async (more: Partial<EtcRequest> = {}): Promise<EtcRequest> => ({
    ...{ device: etc.device, stack: 'os', from: await etc.side(OLD), to: await etc.side(NEW) },
    ...{ policy: 'merge', openObject: noObjects },
    ...more,
  });
  const prepare = async (more: Partial<EtcRequest> = {}): Promise<EtcReport> => prepareEtc(await request(more));
  const print = (command: string, cwd: string) => execFileSync('bash', ['-c', command], { cwd, encoding: 'utf8' });

  it('keeps attributes, links, special files and times as they are', async () => {
    const script = `
      mkdir -m 2750 own; printf secret > own/key; chmod 0600 own/key; chown 12:34 own/key; touch -d '2001-02-03 04:05:06.789' own/key
      ln own/key own/again; ln -s ../own/key own/link; chown -h 5:6 own/link
      setfattr -n user.note -v hello own/key; setfacl -m u:7:r own/key; setfacl -d -m g:8:rwx own
      printf tool > own/tool; setcap cap_net_raw+ep own/tool; chmod 4755 own/sub 2>/dev/null || true
      mkfifo own/pipe; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('own/socket')"
      mknod own/null c 1 3; printf bin > own/setuid; chmod 4755 own/setuid; printf x > 'own/odd
name'`;
    const mounted = change(script);
    const look = `find own -printf '%P %y %m %U %G %n %s %l %T@\\n' | sort; getfacl -R own; getfattr -R -d -m - own; cat own/key`;
    const before = print(look, mounted);
    const report = await prepare();
    expect(print(look, etc.mount(NEW))).toBe(before);
    expect(report.conflicts).toEqual([]);
    expect(report.kept.map(({ path }) => path)).toContain('/etc/own/key');
  });

  it('brings the default back where a local change is undone, and keeps what was removed', async () => {
    change(`rm obsolete both; rm -r conf.d; printf changed > mode`, `rm obsolete; printf 'new\\n' > added`);
    const report = await prepare();
    const mounted = etc.mount(NEW);
    expect(readdirSync(mounted).sort()).toEqual(
      ['added', 'ld.so.cache', 'localtime', 'mode', 'passwd', 'shadow', 'sshd_config'].sort(),
    );
    expect(report.dropped).toEqual([{ path: '/etc/obsolete', reason: 'nothing-to-remove' }]);
    expect(report.kept).toEqual([
      { path: '/etc/both', kind: 'removed' },
      { path: '/etc/conf.d', kind: 'removed' },
      { path: '/etc/mode', kind: 'changed' },
    ]);
    etc.unmountAll();
    execFileSync('rm', [join(etc.upperOf(NEW), 'mode')]);
    expect(readFileSync(join(etc.mount(NEW), 'mode'), 'utf8')).toBe('x');
  });

  it('merges texts by lines and accounts by names, and lists conflicts with their new default', async () => {
    change(
      `sed -i 's/Port 22/Port 2222/' sshd_config; printf 'mine\\nb\\n' > both; echo 'alice:x:1000:1000::/home/alice:/bin/sh' >> passwd
       echo 'alice:secret:20000::::::' >> shadow; printf here > obsolete; chmod 600 mode`,
      `sed -i 's/UsePAM yes/UsePAM no/' sshd_config; printf 'theirs\\nb\\n' > both; echo '_new:x:999:999::/:/bin/false' >> passwd
       echo '_new:!:20001::::::' >> shadow; rm obsolete; printf y > mode`,
    );
    const report = await prepare();
    const mounted = etc.mount(NEW);
    const read = (name: string) => readFileSync(join(mounted, name), 'utf8');
    expect(read('sshd_config')).toBe('# comment\nPort 2222\n\n# more\nUsePAM no\n');
    expect(read('both')).toBe('mine\nb\n');
    expect(read('passwd')).toMatch(/^root:.*\n_new:.*\nalice:.*\n$/);
    expect(read('shadow')).toMatch(/^root:.*\n_new:.*\nalice:secret.*\n$/);
    expect(statSync(join(mounted, 'shadow'))).toMatchObject({ mode: 0o100640, uid: 0, gid: 42 });
    expect(read('mode')).toBe('y');
    expect(statSync(join(mounted, 'mode')).mode & 0o777).toBe(0o600);
    expect(report.merged.map(({ path, fields }) => [path, ...fields])).toEqual([
      ['/etc/mode', 'content'],
      ['/etc/passwd', 'content'],
      ['/etc/shadow', 'content'],
      ['/etc/sshd_config', 'content'],
    ]);
    const newDefault = join(etc.directoryOf(NEW), 'defaults/both');
    expect(report.conflicts).toEqual([
      { path: '/etc/both', reason: 'both-changed', newDefault },
      { path: '/etc/obsolete', reason: 'removed-by-default' },
    ]);
    expect(readFileSync(newDefault, 'utf8')).toBe('theirs\nb\n');
    expect(formatEtcReport(report).slice(0, 4)).toEqual([
      'conflicts in /etc (the local version stays): 2',
      '  /etc/both: changed here and by the new default',
      `    new default: ${newDefault}`,
      '  /etc/obsolete: changed here, removed by the new default',
    ]);
  });

  it('merges modes, owners and each extended attribute for itself', async () => {
    change(
      `chown 7 mode; setfattr -n user.here -v 1 mode; chmod 700 conf.d; setfacl -m u:9:r both`,
      `chmod 600 mode; setfattr -n user.there -v 2 mode; chown 8 conf.d; setfacl -m u:10:r both`,
    );
    const report = await prepare();
    const mounted = etc.mount(NEW);
    expect(statSync(join(mounted, 'mode'))).toMatchObject({ uid: 7, mode: 0o100600 });
    expect(print('getfattr -d mode', mounted)).toMatch(/user.here="1"\nuser.there="2"/);
    expect(statSync(join(mounted, 'conf.d'))).toMatchObject({ uid: 8, mode: 0o40700 });
    expect(report.conflicts).toMatchObject([
      { path: '/etc/both', reason: 'metadata', detail: 'system.posix_acl_access' },
    ]);
    expect(print('getfacl -n both', mounted)).toMatch(/user:9:r/);
  });

  it('keeps state of the machine without a word, and takes what is generated from the new image', async () => {
    change(
      `printf abc > machine-id; ln -sfn ../usr/here localtime; printf mycache > ld.so.cache; printf 'mine\\n' > resolv.conf`,
      `printf uninitialized > machine-id; ln -sfn ../usr/there localtime; printf cache2 > ld.so.cache; printf 'theirs\\n' > resolv.conf`,
    );
    const report = await prepare();
    const mounted = etc.mount(NEW);
    expect(print('cat machine-id resolv.conf; readlink localtime; cat ld.so.cache', mounted)).toBe(
      'abcmine\n../usr/here\ncache2',
    );
    expect(report.conflicts).toEqual([]);
    expect(report.dropped).toEqual([{ path: '/etc/ld.so.cache', reason: 'generated' }]);
  });

  it('lists system users that have another ID in the new default', async () => {
    sh(`echo '_new:x:998:998::/:/bin/false' >> passwd`, etc.old);
    change(`echo 'alice:x:1000:1000::/home/alice:/bin/sh' >> passwd`, `echo '_new:x:997:997::/:/bin/false' >> passwd`);
    const report = await prepare();
    expect(report.conflicts).toEqual([{ path: '/etc/passwd', reason: 'renumbered', detail: '_new: 998 to 997' }]);
  });

  it('a directory that was replaced hides the new default of it, and says so', async () => {
    change(`rm -r conf.d; mkdir conf.d; printf mine > conf.d/mine`, `printf three > conf.d/three`);
    const report = await prepare();
    expect(readdirSync(join(etc.mount(NEW), 'conf.d'))).toEqual(['mine']);
    expect(report.conflicts).toEqual([{ path: '/etc/conf.d', reason: 'replaced-here' }]);
  });

  it('a directory that was made here lets the new default of it through', async () => {
    change(`mkdir new.d; printf mine > new.d/mine`, `mkdir new.d; printf theirs > new.d/theirs`);
    await prepare();
    expect(readdirSync(join(etc.mount(NEW), 'new.d')).sort()).toEqual(['mine', 'theirs']);
  });

  it('with the policy keep, merges nothing and lists every file that both have changed', async () => {
    change(`sed -i 's/Port 22/Port 2222/' sshd_config`, `sed -i 's/UsePAM yes/UsePAM no/' sshd_config`);
    const report = await prepare({ policy: 'keep' });
    expect(report.conflicts).toMatchObject([{ path: '/etc/sshd_config', reason: 'both-changed' }]);
    expect(readFileSync(join(etc.mount(NEW), 'sshd_config'), 'utf8')).toMatch(/Port 2222[\s\S]*UsePAM yes/);
  });

  it('writes nothing in a dry run, nor for volatile, and says the same as it does', async () => {
    change(`printf mine > both`, `printf theirs > both`);
    const dry = await prepare({ dryRun: true });
    expect(existsSync(etc.directoryOf(NEW))).toBe(false);
    expect((await prepare({ policy: 'volatile' })).kept).toEqual([]);
    expect(existsSync(etc.directoryOf(NEW))).toBe(false);
    expect(await prepare()).toEqual(dry);
  });

  it('is for root alone, and starts a first deployment with an empty upper', async () => {
    sh('chmod 711 .', etc.new);
    const report = await prepare({ from: undefined });
    expect(report).toMatchObject({ from: null, kept: [], conflicts: [], merged: [], dropped: [] });
    for (const path of ['etc', 'etc/os', `etc/os/${NEW}`, `etc/os/${NEW}/work`, `etc/os/${NEW}/defaults`])
      expect(lstatSync(join(etc.device.directory, path)).mode & 0o777, path).toBe(0o700);
    expect(readdirSync(etc.upperOf(NEW))).toEqual([]);
    expect(lstatSync(etc.upperOf(NEW)).mode & 0o777).toBe(0o711);
  });

  it('does not touch an /etc that is mounted', async () => {
    await prepare({ from: undefined });
    const mounted = etc.mount(NEW);
    writeFileSync(join(mounted, 'both'), 'mine');
    await expect(prepare()).rejects.toMatchObject({ code: 'busy' });
    expect(readFileSync(join(mounted, 'both'), 'utf8')).toBe('mine');
  });

  it('lists local changes, and those that a rollback would lose', async () => {
    change(
      `printf mine > both; rm obsolete; chmod 600 mode; sed -i 's/Port 22/Port 2222/' sshd_config`,
      `sed -i 's/UsePAM yes/UsePAM no/' sshd_config`,
    );
    expect(await localChanges(etc.device, 'os', await etc.side(OLD))).toEqual([
      { path: '/etc/both', kind: 'changed', fields: ['content'] },
      { path: '/etc/mode', kind: 'changed', fields: ['mode'] },
      { path: '/etc/obsolete', kind: 'removed', fields: [] },
      { path: '/etc/sshd_config', kind: 'changed', fields: ['content'] },
    ]);
    await prepare();
    const back = { from: await etc.side(NEW), to: await etc.side(OLD) };
    expect(await changesLostByRollback(await request(back))).toEqual([]);
    sh(`printf later > both; printf new > extra; mkdir -p x/y`, etc.mount(NEW));
    expect((await changesLostByRollback(await request(back))).map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      'changed /etc/both',
      'added /etc/extra',
      'added /etc/x',
      'added /etc/x/y',
    ]);
  });

  it('is removed with its deployment, and so is what was left of a cut one', async () => {
    await prepare({ from: undefined });
    mkdirSync(join(etc.directoryOf(NEW), '..', `.${NEW}.new/upper`), { recursive: true });
    removeEtc(etc.device, 'os', NEW);
    removeEtc(etc.device, 'os', NEW);
    expect(readdirSync(join(etc.device.directory, 'etc/os'))).toEqual([]);
  });
});
