/** A real systemd of Debian 13 goes over to another deployment without a restart of the kernel. Long: OSUPD_TEST_SCALE above 1. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { sha256Of } from '../../src/core/sha256.ts';
import { deployImages } from '../../src/deploy/deployment.ts';
import { formatStack } from '../../src/deploy/deployment-files.ts';
import { DeviceRoot } from '../../src/deploy/device.ts';
import { buildImage } from '../../src/image/build.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import { ORIGIN } from '../helpers/device.ts';
import { bootScript, INITRAMFS_FILES } from '../helpers/initramfs-files.ts';
import { itWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { runMachine } from '../helpers/virtual-machine.ts';

const LONG = Number(process.env.OSUPD_TEST_SCALE ?? 1) > 1;
const MINUTES = 60_000;

/** In version 1 it prepares version 2 and goes over to it; in version 2 it ends the machine. */
const PROBE = `#!/bin/sh
exec >/dev/console 2>&1
read -r version </usr/share/version
echo "PROBE version $version, soft reboots: $(systemctl show -P SoftRebootsCount), kept: $(cat /etc/written /var/written 2>/dev/null | tr '\\n' ' ')"
grep ' / / ' /proc/self/mountinfo
if [ "$version" = 2 ]; then echo MACHINE-EXIT:0; sync; systemctl poweroff -ff; fi
echo etc >/etc/written; echo var >/var/written; mkdir /run/nextroot
/usr/lib/osupd/osupd-boot /sysroot /run/nextroot /var/arguments && systemctl soft-reboot
`;
const UNIT = '[Unit]\nAfter=multi-user.target\n[Service]\nType=oneshot\nExecStart=/usr/bin/probe\n';

/** A system from where this machine's apt has its packages. */
function debian(suite: string, directory: string): void {
  const sources = execFileSync('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'], {
    encoding: 'utf8',
  });
  const mirror = sources.split('\n').find((uri) => /\/debian\/$/.test(uri)) ?? '';
  const included = '--include=systemd,systemd-sysv,dbus';
  execFileSync('mmdebstrap', ['--quiet', '--variant=minbase', included, suite, directory, mirror], { stdio: 'ignore' });
}

/** What each version has besides. */
function layer(directory: string, version: string): string {
  const files: Record<string, string | Uint8Array> = {
    'usr/share/version': `${version}\n`,
    'usr/bin/probe': PROBE,
    'usr/lib/osupd/osupd-boot': INITRAMFS_FILES['osupd-boot'],
    'usr/lib/osupd/stack.sh': INITRAMFS_FILES['stack.sh'],
    'etc/systemd/system/probe.service': UNIT,
  };
  const wants = join(directory, 'etc/systemd/system/multi-user.target.wants');
  for (const path of ['usr/share', 'usr/bin', 'usr/lib/osupd', 'sysroot'])
    mkdirSync(join(directory, path), { recursive: true });
  mkdirSync(wants, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content, { mode: 0o755 });
  symlinkSync('../probe.service', join(wants, 'probe.service'));
  return directory;
}

describe.runIf(LONG)('a soft reboot', () => {
  const directory = temporaryDirectory();

  itWith(
    ['root', 'mmdebstrap', 'qemu-system-x86_64'],
    'brings another deployment into use over the running kernel, with its own /etc and the same /var',
    async () => {
      const base = join(directory, 'debian');
      debian('trixie', base);
      const state = join(directory, 'state');
      mkdirSync(state);
      execFileSync('cp', ['-a', join(base, 'var'), state]);
      const root = join(state, 'var/lib/osupd');
      const device = await DeviceRoot.create(root);
      const words: string[] = [];
      for (const version of ['1', '2']) {
        const sources = [base, layer(join(directory, `layer-${version}`), version)];
        const batch = await ObjectBatch.open(device.pool);
        const { digest } = await buildImage(
          sources.map((path) => ({ kind: 'directory', path })),
          batch,
          { inlineLimit: 64, exclude: ['dev/*', 'proc/*', 'sys/*', 'run/*', 'var/*'] },
        );
        await batch.close();
        const images = [{ name: 'os', version, digest }];
        const { id } = await deployImages(device, 'system', images, ORIGIN, '2030-01-01T00:00:00Z');
        words.push(`osupd.stack=system/${id}:${sha256Of(formatStack(images))}`);
        mkdirSync(join(root, 'etc/system', id, 'upper'), { recursive: true });
      }
      writeFileSync(join(state, 'var/arguments'), `${words[1]}\n`);
      const disk = join(directory, 'disk');
      execFileSync('mkfs.ext4', ['-q', '-O', 'verity', '-b', '4096', '-d', state, disk, '1G']);
      const { log, status } = await runMachine({
        disks: [disk],
        arguments: [words[0] ?? '', 'systemd.show_status=0'],
        script: bootScript('vda'),
        files: INITRAMFS_FILES,
        limit: 600,
      });
      expect(status, log).toBe(0);
      expect(log).toMatch(/^PROBE version 1, soft reboots: 0, kept: $/m);
      expect(log).toMatch(/^PROBE version 2, soft reboots: 1, kept: var $/m);
      expect(log.match(/(?<= - overlay osupd:system:)\d/g)).toEqual(['1', '2']);
    },
    15 * MINUTES,
  );
});
