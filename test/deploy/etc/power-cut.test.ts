/** A merge of /etc on a disk whose power is cut before each change that it makes: the old state is there, or the new one. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { afterEach, beforeAll, expect, it, vi } from 'vitest';
import { removeEtc } from '../../../src/deploy/etc/etc-directory.ts';
import { type EtcRequest, prepareEtc } from '../../../src/deploy/etc/prepare-etc.ts';
import { syncFileSystem } from '../../../src/sys/durable.ts';
import { CrashDisk } from '../../helpers/crash-disk.ts';
import { EtcDevice, NEW, noObjects, OLD } from '../../helpers/etc-device.ts';
import { enterMountNamespace } from '../../helpers/mount-namespace.ts';
import { cutAt } from '../../helpers/power-cut.ts';
import { describeWith } from '../../helpers/requirements.ts';
import { temporaryDirectory } from '../../helpers/temporary.ts';

vi.mock('node:fs', async (original) => (await import('../../helpers/power-cut.ts')).cuttable(await original()));
vi.mock('../../../src/sys/nodes.ts', async (original) =>
  (await import('../../helpers/power-cut.ts')).cuttable(await original()),
);

const directory = temporaryDirectory();

describeWith(['root'], 'a power cut while /etc is prepared', () => {
  let etc: EtcDevice;
  beforeAll(() => enterMountNamespace());
  afterEach(() => etc.unmountAll());

  const sh = (script: string, cwd: string) => execFileSync('bash', ['-ec', script], { cwd });
  /** All that is in a directory, with content and attributes, as text. */
  const look = (path: string) =>
    existsSync(path)
      ? execFileSync(
          'bash',
          [
            '-c',
            `find . -printf '%P %y %m %U %s %l %T@\\n' | sort; find . -type f | sort | xargs cat; getfattr -Rhd -m - .`,
          ],
          { cwd: path, encoding: 'utf8' },
        )
      : 'nothing';

  async function prepareDevice(disk: CrashDisk): Promise<EtcRequest> {
    etc = await EtcDevice.create(disk.directory);
    for (const each of [etc.old, etc.new]) {
      mkdirSync(each);
      sh('printf one > file; printf two > other; mkdir d; printf three > d/three', each);
    }
    sh('printf changed > other', etc.new);
    sh(
      'printf mine > other; rm -r d; mkdir d e; printf secret > e/key; setfattr -n trusted.note -v x e/key; mkfifo e/pipe; rm file',
      etc.mount(OLD),
    );
    etc.unmountAll();
    syncFileSystem(disk.directory);
    const [from, to] = [await etc.side(OLD), await etc.side(NEW)];
    return { device: etc.device, stack: 'os', from, to, policy: 'merge', openObject: noObjects };
  }

  /** Cuts before each change of a merge that takes the place of what `before` has made, and gives what is there then. */
  async function cutEverywhere(
    before: (request: EtcRequest) => Promise<void>,
  ): Promise<{ found: string[]; whole: string; old: string }> {
    const found: string[] = [];
    let [whole, old] = ['', ''];
    using disk = new CrashDisk(directory);
    for (let step = 0, again = true; again; step++) {
      const request = await prepareDevice(disk);
      await before(request);
      old = look(etc.upperOf(NEW));
      const mine = look(etc.upperOf(OLD));
      again = await cutAt(step, () => prepareEtc(request));
      disk.crash();
      expect(look(etc.upperOf(OLD))).toBe(mine);
      found.push(look(etc.upperOf(NEW)));
      // Whatever was left: the next run makes it whole, and leaves no waste.
      await prepareEtc(request);
      expect(readdirSync(`${etc.directoryOf(NEW)}/..`).sort()).toEqual([OLD, NEW]);
      disk.crash();
      whole = look(etc.upperOf(NEW));
    }
    return { found: [...new Set(found.map(withoutTimes))], whole: withoutTimes(whole), old: withoutTimes(old) };
  }

  /** Each disk is made at another time. */
  const withoutTimes = (text: string) => text.replace(/\d+\.\d{10}$/gm, 'TIME');

  it('leaves nothing or the whole, when there was none', async () => {
    const { found, whole } = await cutEverywhere(async () => {});
    expect(whole).toContain('secret');
    expect(found.sort()).toEqual(['nothing', whole].sort());
  });

  it('leaves the last one or the whole, when there was one', async () => {
    const { found, whole, old } = await cutEverywhere(async (request) => {
      await prepareEtc({ ...request, from: undefined });
    });
    expect(old).not.toContain('secret');
    expect(found.sort()).toEqual([old, whole].sort());
  });

  it('removes it whole', async () => {
    using disk = new CrashDisk(directory);
    for (let step = 0, again = true; again; step++) {
      const request = await prepareDevice(disk);
      await prepareEtc(request);
      const whole = look(etc.upperOf(NEW));
      again = await cutAt(step, () => removeEtc(request.device, 'os', NEW));
      disk.crash();
      expect(['nothing', whole]).toContain(look(etc.upperOf(NEW)));
      removeEtc(request.device, 'os', NEW);
      expect(look(etc.upperOf(NEW))).toBe('nothing');
    }
  });
});
