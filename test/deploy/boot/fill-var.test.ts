/** The first fill of /var and other shared directories: what is missing comes from the image, what is there stays. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it, vi } from 'vitest';
import { fillWritable } from '../../../src/deploy/boot/fill-var.ts';
import { ObjectBatch } from '../../../src/objects/ingest.ts';
import { Pool } from '../../../src/objects/pool.ts';
import { syncFileSystem } from '../../../src/sys/durable.ts';
import { readDirectory } from '../../../src/tree/read-directory.ts';
import { type Tree, walk } from '../../../src/tree/tree.ts';
import { CrashDisk } from '../../helpers/crash-disk.ts';
import { noObjects } from '../../helpers/etc-device.ts';
import { enterMountNamespace } from '../../helpers/mount-namespace.ts';
import { cutAt } from '../../helpers/power-cut.ts';
import { describeWith } from '../../helpers/requirements.ts';
import { temporaryDirectory } from '../../helpers/temporary.ts';

vi.mock('node:fs', async (original) => (await import('../../helpers/power-cut.ts')).cuttable(await original()));

const directory = temporaryDirectory();

const IMAGE = `
  mkdir -p var/lib/app/data var/spool/mail var/empty home/user root usr/bin; printf 1 > usr/bin/tool
  printf state > var/lib/app/state; chown 5:6 var/lib/app/state; chmod 640 var/lib/app/state; touch -d '2020-01-02 03:04:05.67' var/lib/app/state
  ln var/lib/app/state var/lib/app/data/again; ln -s ../run var/run; mkfifo var/lib/app/pipe
  setfattr -n user.note -v x var/lib/app/data; setfacl -d -m u:7:rx var/lib/app/data; chmod 2770 var/spool/mail; chown 0:8 var/spool/mail
  chmod 700 root; printf dot > root/.profile; touch -d 2001-01-01 var/lib/app
`;

const sh = (script: string, cwd: string) => execFileSync('bash', ['-ec', script], { cwd, encoding: 'utf8' });
/** All that is in a directory, with contents and attributes; the size of a directory is its file system's. */
const look = (path: string) =>
  sh(
    `find . -mindepth 1 -printf '%P %y %m %U %G %n %l %T@\n' | sort; find . -type f -printf '%P %s\n' | sort
     find . ! -type l | sort | xargs getfacl -n; find . | sort | xargs getfattr -hd -m -; find . -type f | sort | xargs -r cat`,
    path,
  );

describeWith(['root', 'setfacl', 'setfattr'], 'the first fill of writable directories', () => {
  const image = join(directory, 'image');
  let tree: Tree;
  beforeAll(async () => {
    enterMountNamespace();
    mkdirSync(image);
    sh(IMAGE, image);
    tree = await readDirectory(image, { inlineLimit: 1 << 20 });
  });

  const fill = (stateRoot: string, directories = ['/var', '/home', '/root', '/srv']) =>
    fillWritable({ stateRoot, tree, directories, openObject: noObjects });
  const newRoot = () => mkdtempSync(join(directory, 'state-'));

  it('gives an empty machine what the image has in them, and nothing else', async () => {
    const root = newRoot();
    await fill(root);
    expect(readdirSync(root).sort()).toEqual(['home', 'root', 'var']);
    for (const name of ['var', 'home', 'root']) expect(look(join(root, name)), name).toBe(look(join(image, name)));
  });

  it('leaves what is there as it is, and fills what is missing in it', async () => {
    const root = newRoot();
    mkdirSync(join(root, 'var/lib/app'), { recursive: true });
    chmodSync(join(root, 'var/lib/app'), 0o711);
    writeFileSync(join(root, 'var/lib/app/state'), 'mine');
    writeFileSync(join(root, 'var/spool'), 'a file in place of a directory');
    await fill(root);
    expect(readFileSync(join(root, 'var/lib/app/state'), 'utf8')).toBe('mine');
    expect(statSync(join(root, 'var/lib/app')).mode & 0o777).toBe(0o711);
    expect(readFileSync(join(root, 'var/spool'), 'utf8')).toBe('a file in place of a directory');
    expect(readFileSync(join(root, 'var/lib/app/data/again'), 'utf8')).toBe('state');
    const after = look(root);
    await fill(root);
    expect(look(root)).toBe(after);
  });

  it('takes one directory of a deep path without its neighbours', async () => {
    const root = newRoot();
    await fill(root, ['/var/lib/app/data', '/var/nothing']);
    expect(readdirSync(join(root, 'var/lib/app'))).toEqual(['data']);
    expect(readdirSync(join(root, 'var'))).toEqual(['lib']);
  });

  it('copies objects of a pool, and compares them with their names', async () => {
    const pool = await Pool.create(join(newRoot(), 'pool'));
    const large = readFileSync(process.execPath).subarray(0, 3_000_000);
    const source = newRoot();
    mkdirSync(join(source, 'var'));
    writeFileSync(join(source, 'var/large'), large);
    const withObjects = await readDirectory(source, { inlineLimit: 64 });
    const batch = await ObjectBatch.open(pool);
    const found = [...walk(withObjects)].flatMap(({ entry }) => (entry.type === 'file' ? [entry] : []));
    for (const file of found) {
      file.digest = await batch.add(
        (async function* () {
          yield large;
        })(),
        large.length,
      );
      delete file.source;
    }
    await batch.close();
    const root = newRoot();
    const openObject = pool.openObject.bind(pool);
    const request = { tree: withObjects, directories: ['/var'], openObject };
    await fillWritable({ ...request, stateRoot: root });
    expect(readFileSync(join(root, 'var/large')).equals(large)).toBe(true);
    const digest = found[0]?.digest;
    if (digest === undefined) throw new Error('no file');
    chmodSync(pool.objectPath(digest), 0o600);
    writeFileSync(pool.objectPath(digest), Buffer.alloc(large.length));
    const damaged = newRoot();
    await expect(fillWritable({ ...request, stateRoot: damaged })).rejects.toMatchObject({ code: 'damaged-store' });
    expect(existsSync(join(damaged, 'var'))).toBe(false);
  });

  it('a power cut leaves names that are whole or not there, and the next run brings the rest', async () => {
    using disk = new CrashDisk(directory);
    const whole = newRoot();
    await fill(whole, ['/var']);
    for (let step = 0, again = true; again; step++) {
      const root = join(disk.directory, String(step));
      // One directory is there, so that several names are missing in several places.
      mkdirSync(join(root, 'var/lib'), { recursive: true });
      syncFileSystem(disk.directory);
      again = await cutAt(step, () => fill(root, ['/var']));
      disk.crash();
      for (const name of ['lib/app', 'spool', 'empty']) {
        if (existsSync(join(root, 'var', name)))
          expect(look(join(root, 'var', name)), `${step} ${name}`).toBe(look(join(whole, 'var', name)));
      }
      await fill(root, ['/var']);
      disk.crash();
      expect(sh('find . | sort', join(root, 'var'))).toBe(sh('find . | sort', join(whole, 'var')));
    }
  });
});
