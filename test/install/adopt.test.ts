import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { type SmallRepository, smallRepository } from './small-system.ts';

const PROGRAM = resolve(import.meta.dirname, '../helpers/osupd-from-source.ts');

/** An installed system; what is not in /boot, /usr and /etc is state. */
const INSTALLED: Readonly<Record<string, string>> = {
  'boot/vmlinuz-6.12.1': 'kernel'.padEnd(50_000, '.'),
  'boot/config-6.12.1': 'CONFIG_EROFS_FS=m\nCONFIG_OVERLAY_FS=m\n',
  'usr/lib/osupd/osupd-boot': '#!/bin/sh\n',
  'usr/share/initramfs-tools/hooks/osupd': '#!/bin/sh\n',
  'boot/initrd.img-6.12.1': 'initrd'.padEnd(60_000, '.'),
  'efi/EFI/systemd/systemd-bootx64.efi': 'loader',
  'efi/loader/entries/debian.conf': 'title Debian\n',
  'etc/os-release': 'NAME="Debian GNU/Linux"\nVERSION_ID="12"\n',
  'etc/fstab': '# table\nUUID=abc / ext4 errors=remount-ro 0 1\nUUID=def /home ext4 defaults 0 2\n',
  'usr/bin/tool': 'tool'.padEnd(200_000, '.'),
  'var/log/syslog': 'a log of this machine\n'.repeat(1000),
  'home/user/letter': 'a letter\n'.repeat(1000),
};

describeWith(['root', 'mkfs.ext4', 'unshare', 'blkid'], 'osupd adopt', () => {
  const base = temporaryDirectory();
  let repository: SmallRepository;
  beforeAll(async () => {
    repository = await smallRepository(base);
  });

  /** Puts a system on a disk, and runs commands where it is mounted as $root, in a mount namespace of their own. */
  function onDisk(files: Readonly<Record<string, string>>, script: string) {
    const place = mkdtempSync(join(base, 'installed-'));
    const [tree, disk, root] = [join(place, 'tree'), join(place, 'disk'), join(place, 'root')];
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(tree, name)), { recursive: true });
      writeFileSync(join(tree, name), content, { mode: 0o755 });
    }
    mkdirSync(root);
    writeFileSync(disk, '');
    truncateSync(disk, 200 << 20);
    execFileSync('mkfs.ext4', ['-q', '-F', '-b', '4096', '-d', tree, disk]);
    rmSync(tree, { recursive: true });
    const adopt = `${process.execPath} ${PROGRAM} adopt --root-directory ${root} --url ${repository.directory} --trust ${repository.trust}`;
    const text = `root=${root}; adopt="${adopt}"; mount -o loop ${disk} $root || exit 99\n${script}`;
    const { status, stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', text], { encoding: 'utf8' });
    return { status, stdout, stderr };
  }

  it('makes an image of everything but state, and an entry beside those of the installation', () => {
    const { status, stdout, stderr } = onDisk(
      INSTALLED,
      `$adopt --argument quiet || exit 1
d=$root/var/lib/osupd; cat $root/efi/loader/entries/*; ls $root/efi/loader/entries $d/next $d/current
${process.execPath} ${PROGRAM} image ls $d/images/* -R 2>/dev/null || ${process.execPath} ${PROGRAM} image dump $d/images/* | cut -d' ' -f1
cat $d/etc/system/*/upper/fstab $root/etc/fstab $root/etc/osupd/osupd.toml.d/boot.toml
${process.execPath} ${PROGRAM} fsck --root $d --config $root/etc/osupd/osupd.toml || exit 2
$adopt --argument quiet`,
    );
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/^os 12: \d+ files, /);
    expect(stdout).toMatch(
      /^deployment 1-[0-9a-f]{12} boots next, with the entry osupd-system-1-1-[0-9a-f]{12}\+3.conf$/m,
    );
    expect(stdout).toMatch(/^options osupd\.stack=system\/1-\S+ root=UUID=[0-9a-f-]{36} rw quiet$/m);
    expect(stdout).toContain('title Debian\n');
    expect(stdout).toContain('/usr/bin/tool');
    expect(stdout).not.toMatch(/syslog|letter/);
    expect(stdout).toContain(
      '# of the adopted installation: UUID=abc / ext4 errors=remount-ro 0 1\nUUID=def /home ext4',
    );
    expect(stdout).toContain('\nUUID=abc / ext4 errors=remount-ro 0 1\n');
  });

  it('lists everything that is missing in one go, and changes nothing', () => {
    const { 'boot/config-6.12.1': _, 'efi/EFI/systemd/systemd-bootx64.efi': _loader, ...rest } = INSTALLED;
    const bare = Object.fromEntries(
      Object.entries(rest)
        .filter(([name]) => !name.startsWith('efi/') && !name.includes('osupd'))
        .map(([name, content]) => [name.replace('6.12.1', '6.1.0'), content]),
    );
    const { status, stdout, stderr } = onDisk(
      bare,
      `mount -t tmpfs none $root/var; $adopt --dry-run; status=$?; ls $root/etc; exit $status`,
    );
    expect(status).toBe(9);
    const missing = stdout.split('\n').filter((line) => line.startsWith('missing: '));
    expect(missing.map((line) => line.replace(/^missing: | \(.*$/g, ''))).toEqual([
      'a file system of its own',
      'a newer kernel than 6.1.0',
      "osupd's hook for the initramfs",
      'an EFI system partition that is mounted',
    ]);
    expect(stderr).toContain('this system cannot be adopted as it is: ');
    expect(stdout).toMatch(/\nfstab\nos-release\n$/);
  });
});
