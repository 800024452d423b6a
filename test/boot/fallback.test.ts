import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it, vi } from 'vitest';
import { bootState, copyDisk } from '../helpers/boot-state.ts';
import { bootScript, INITRAMFS_FILES } from '../helpers/initramfs-files.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { jobArchive, Machine, runMachine, USUAL_ARGUMENTS } from '../helpers/virtual-machine.ts';
import { EspImage } from '../helpers/virtual-machine-esp.ts';
import { machineKit } from '../helpers/virtual-machine-kit.ts';

// Machines are slow where others have the processors.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

describeWith(['root', 'qemu-system-x86_64', 'mkfs.vfat', 'mcopy', 'fsverity'], 'a start that fails', () => {
  const directory = temporaryDirectory();
  let state: Awaited<ReturnType<typeof bootState>>;

  beforeAll(async () => {
    state = await bootState(directory);
  });

  it('ends in the next entry of the boot menu, unattended', async () => {
    const kit = machineKit();
    const esp = new EspImage(join(directory, 'esp'));
    const initrd = join(directory, 'initrd');
    writeFileSync(
      initrd,
      Buffer.concat([readFileSync(kit.initramfs), jobArchive({ script: bootScript('vdb'), files: INITRAMFS_FILES })]),
    );
    esp.add('osupd/vmlinuz', kit.kernel);
    esp.add('osupd/initrd', initrd);
    const entry = (generation: number, stack: string) =>
      `title ${generation}\nsort-key osupd-system\nversion ${generation}\nlinux /osupd/vmlinuz\ninitrd /osupd/initrd\n` +
      `options ${USUAL_ARGUMENTS.join(' ')} ${stack} osupd.failure=reboot:1\n`;
    esp.write(
      'loader/entries/osupd-system-2-x+1.conf',
      entry(2, state.argument.replace(/:\w+$/, `:${'0'.repeat(64)}`)),
    );
    esp.write('loader/entries/osupd-system-1-x.conf', entry(1, state.argument));
    const { log, status } = await runMachine({
      disks: [esp.path, copyDisk(state.disk)],
      firmware: { variables: join(directory, 'variables') },
      restarts: true,
    });
    expect(status, log).toBe(0);
    expect(log).toMatch(/osupd: the stack file: .*its SHA-256 is.*starting again in 1 s.*SYSTEM-UP as process 1/s);
    expect(esp.list('loader/entries').sort()).toEqual(['osupd-system-1-x.conf', 'osupd-system-2-x+0-1.conf']);
  });

  it('is no harm when the power fails while the system runs', async () => {
    const disk = copyDisk(state.disk);
    const options = { disks: [disk], arguments: [state.argument], script: bootScript('vda'), files: INITRAMFS_FILES };
    const machine = new Machine(options);
    await machine.until(/can write \/etc\/written/);
    expect((await machine.kill()).ended).toBe('killed');
    const { log, status } = await runMachine(options);
    expect(status, log).toBe(0);
    expect(log).toContain('can write /etc/written');
  });
});
