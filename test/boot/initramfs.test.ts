import { beforeAll, expect, it, vi } from 'vitest';
import { bootState, copyDisk, debugfs, flipBit } from '../helpers/boot-state.ts';
import { bootScript, INITRAMFS_FILES } from '../helpers/initramfs-files.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { runMachine } from '../helpers/virtual-machine.ts';

// Machines are slow where others have the processors.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const ZEROS = '0'.repeat(64);

/** One refusal: what is done to the disk before, the arguments, and the one line that is to be said. */
interface Refusal {
  readonly title: string;
  readonly disk?: string;
  readonly before?: string;
  readonly arguments: string;
  readonly line: RegExp;
}

describeWith(['root', 'qemu-system-x86_64', 'busybox', 'mkfs.ext4', 'cpio'], 'osupd-boot', () => {
  const directory = temporaryDirectory();
  let state: Awaited<ReturnType<typeof bootState>>;

  beforeAll(async () => {
    state = await bootState(directory);
  });

  it('boots an application over a system, each object checked by the kernel, with writable /etc, /var and homes', async () => {
    const disk = copyDisk(state.disk);
    const { log, status } = await runMachine({
      disks: [disk],
      arguments: ['ro', state.argument, 'osupd.verity=require'],
      script: bootScript('vda', 'ro'),
      files: INITRAMFS_FILES,
    });
    expect(status, log).toBe(0);
    expect(log).toContain('SYSTEM-UP as process 1\nof the application......\nfrom the application....\n');
    const writable = [
      '/etc/of-system',
      '/etc/written',
      '/var/written',
      '/home/written',
      '/root/written',
      '/tmp/written',
    ];
    expect(log.match(/(?<=can write )\S+/g)).toEqual(writable);
    expect(log).toMatch(new RegExp(` / / ro,.* - overlay osupd:system:${state.id} .*verity=require`));
    expect(log).toMatch(/ \/ \/etc rw,.* - overlay osupd-etc /);
    expect(log).toMatch(/ \/ \/run\/osupd\/state rw,.* - ext4 \/dev\/vda /);
    expect(log).not.toMatch(/ - erofs | \/srv /);
    expect(debugfs(disk, `cat /${state.upper}/of-system`)).toBe('written\n');
    expect(debugfs(disk, 'cat /var/written')).toBe('written\n');
    expect(debugfs(disk, 'cat /home/written')).toBe('written\n');
    expect(debugfs(disk, 'stat /root')).toMatch(/Mode:\s+0700/);
  });

  it('starts the machine again when it fails, after the time that the arguments say', async () => {
    const { log, status, ended } = await runMachine({
      disks: [copyDisk(state.disk)],
      arguments: ['ro', state.argument.replace(/:\w+$/, `:${ZEROS}`), 'osupd.failure=reboot:2'],
      script: bootScript('vda', 'ro'),
      files: INITRAMFS_FILES,
    });
    expect({ status, ended }, log).toEqual({ status: undefined, ended: 'by itself' });
    expect(log).toMatch(
      /^osupd: the stack file: \/run\/osupd\/state\/.*\/stack: its SHA-256 is \w{64}, not that of the boot entry$/m,
    );
    expect(log).toMatch(/^osupd: starting again in 2 s, with the next boot entry$/m);
    expect(log).toMatch(/reboot: Restarting system/);
  });

  it('refuses in one line what is not whole, and leaves nothing mounted', async () => {
    const disk = copyDisk(state.disk);
    const flippedImage = copyDisk(state.disk);
    flipBit(flippedImage, state.systemImage, 4096 + 100);
    const flippedInit = copyDisk(state.disk);
    flipBit(flippedInit, state.initObject, 5000);
    const good = state.argument;
    const refusals: Refusal[] = [
      { title: 'no stack', arguments: 'quiet', line: /the argument osupd.stack: \(none\): not of the form/ },
      {
        title: 'a stack that leads elsewhere',
        arguments: good.replace('system/', '../etc/'),
        line: /the argument osupd.stack: .*: not of the form/,
      },
      {
        title: 'a root that leads elsewhere',
        arguments: `${good} osupd.root=/var/../etc`,
        line: /the argument osupd.root: \/var\/..\/etc: not a plain path/,
      },
      {
        title: 'a root with signs of options',
        arguments: `${good} osupd.root=/var,upperdir=/x`,
        line: /the argument osupd.root: .*: a path may have/,
      },
      {
        title: 'a writable directory that is none',
        arguments: `${good} osupd.writable=/home:srv`,
        line: /the argument osupd.writable: srv: not an absolute path/,
      },
      {
        title: 'a word that is none',
        arguments: `${good} osupd.verity=maybe`,
        line: /the argument osupd.verity: maybe: not one of/,
      },
      {
        title: 'another stack file',
        arguments: good.replace(/:\w+$/, `:${ZEROS}`),
        line: /the stack file: \/state\/var\/lib\/osupd\/deployments\/.*: its SHA-256 is/,
      },
      {
        title: 'a deployment that is not there',
        arguments: good.replace(/\/1-/, '/2-'),
        line: /the stack file: .*\/2-.*: missing/,
      },
      {
        title: 'a flipped bit in an image',
        disk: flippedImage,
        arguments: good,
        line: new RegExp(`an image: /state/${state.systemImage}: .*error`),
      },
      {
        title: 'a flipped bit in init',
        disk: flippedInit,
        arguments: good,
        line: /init: \/target\/usr\/lib\/systemd\/systemd: .*error/,
      },
      {
        title: 'init= that is not there',
        arguments: `${good} init=/bin/other`,
        line: /init: \/bin\/other: not in the stack/,
      },
      {
        title: 'an image without fs-verity under require',
        before: `cp ${state.systemImage} copy; mv copy ${state.systemImage}`,
        arguments: `${good} osupd.verity=require`,
        line: /an image: .*: has no fs-verity, which osupd.verity=require asks for/,
      },
      {
        title: 'a changed image without fs-verity',
        before: `printf x | dd of=${state.systemImage} conv=notrunc bs=1 seek=5000 2>/dev/null`,
        arguments: good,
        line: /an image: .*: damaged: its digest is \w{64}$/m,
      },
      {
        title: 'an image of another digest under fs-verity',
        before: `cp ${state.applicationImage} copy; mv copy ${state.systemImage}; fsverity enable ${state.systemImage}`,
        arguments: good,
        line: /an image: .*: its fs-verity digest is sha256:\w{64}$/m,
      },
      {
        title: 'an image that is not there',
        before: `rm ${state.systemImage}`,
        arguments: good,
        line: /an image: .*: missing/,
      },
      {
        title: 'an object that is not there',
        disk: copyDisk(state.disk),
        before: `rm ${state.initObject}`,
        arguments: good,
        line: /init: \/target\/usr\/lib\/systemd\/systemd: .*No such file/,
      },
      {
        title: 'an /etc that nobody prepared',
        disk: copyDisk(state.disk),
        before: `rmdir ${state.upper}`,
        arguments: good,
        line: /\/etc: .*\/upper: missing; osupd switch makes it/,
      },
      {
        title: 'a directory that leads out',
        disk: copyDisk(state.disk),
        before: 'ln -s /tmp home',
        arguments: good,
        line: /the state file system: \/state\/home: leads out of it, to \/tmp/,
      },
    ];
    const disks = [...new Set(refusals.map((refusal) => refusal.disk ?? disk))];
    const script = refusals.map(
      (refusal, number) => `mount -t ext4 /dev/vd${'abcdefgh'[disks.indexOf(refusal.disk ?? disk)]} /state
(cd /state; ${refusal.before ?? ':'}); echo '${refusal.arguments}' >arguments
./osupd-boot /state /target arguments >said 2>&1; echo "CASE ${number} status $? lines $(wc -l <said) mounts $(grep -c ' /target' /proc/mounts)"
cat said; umount /state || exit 1`,
    );
    const { log, status } = await runMachine({
      disks,
      script: `mkdir /state /target\n${script.join('\n')}\nls -d /run/osupd-* 2>/dev/null; exit 0`,
      files: INITRAMFS_FILES,
    });
    expect(status, log).toBe(0);
    const cases = log.split(/^CASE /m).slice(1);
    expect(cases).toHaveLength(refusals.length);
    for (const [number, { title, line }] of refusals.entries()) {
      const [first = '', ...said] = cases[number]?.split('\n') ?? [];
      expect(first, title + log).toBe(`${number} status 1 lines 1 mounts 0`);
      const own = said.filter((text) => text.startsWith('osupd: '));
      expect(own, title).toHaveLength(1);
      expect(own[0], title).toMatch(line);
    }
    expect(log).not.toMatch(/^\/run\/osupd-/m);
  });
});
