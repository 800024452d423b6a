import { join } from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { bootState, copyDisk } from '../helpers/boot-state.ts';
import { buildInitramfs, type InitramfsTool } from '../helpers/build-initramfs.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { runMachine } from '../helpers/virtual-machine.ts';

// Machines are slow where others have the processors.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

/** More starts that fail when there is time. */
const EVERY = Number(process.env.OSUPD_TEST_SCALE ?? 1) > 1;
const TOOLS: readonly InitramfsTool[] = ['initramfs-tools', 'dracut', 'dracut with systemd'];

describeWith(
  ['root', 'qemu-system-x86_64', 'mkinitramfs', 'dracut', 'systemctl', 'fsverity'],
  'an initramfs of the real tools',
  () => {
    const directory = temporaryDirectory();
    let state: Awaited<ReturnType<typeof bootState>>;

    beforeAll(async () => {
      // With a directory for the state file system, as systems of osupd have it.
      state = await bootState(directory, { sysroot: { type: 'directory' } });
    });

    describe.each(TOOLS)('%s', (tool) => {
      const initramfs = join(directory, tool.replaceAll(' ', '-'));
      const boot = (...words: string[]) =>
        runMachine({
          initramfs,
          disks: [copyDisk(state.disk)],
          arguments: ['root=/dev/vda', 'ro', state.argument, 'osupd.verity=require', ...words],
        });

      beforeAll(() => buildInitramfs(tool, initramfs));

      it('boots an application over a system, and hands the state file system over', async () => {
        const { log, status } = await boot();
        expect(status, log).toBe(0);
        expect(log).toContain('SYSTEM-UP as process 1\nof the application......\nfrom the application....\n');
        expect(log.match(/(?<=can write )\S+/g)).toContain('/etc/written');
        expect(log).toMatch(new RegExp(` / / ro,.* - overlay osupd:system:${state.id} .*verity=require`));
        expect(log).toMatch(/ \/ \/sysroot rw,.* - ext4 \/dev\/vda /);
        expect(log).not.toMatch(/ \/run\/osupd\/state | - erofs /);
      });

      it.runIf(tool === 'initramfs-tools' || EVERY)(
        'starts the machine again where the stack cannot be booted',
        async () => {
          const { log, ended } = await boot('init=/bin/absent', 'osupd.failure=reboot:1');
          expect(ended, log).toBe('by itself');
          expect(log).toMatch(/^osupd: init: \/bin\/absent: not in the stack\nosupd: starting again in 1 s/m);
          expect(log).toMatch(/reboot: Restarting system/);
        },
      );

      it.runIf(EVERY)('starts the machine again where there is no root device', async () => {
        const { log, ended } = await boot(
          'root=/dev/absent',
          'rootdelay=1',
          'rd.retry=3',
          'rd.timeout=5',
          'osupd.failure=reboot:1',
        );
        expect(ended, log).toBe('by itself');
        expect(log).toMatch(/reboot: Restarting system/);
      });
    });
  },
);
