/** Disks that UEFI firmware boots: a FAT file system with systemd-boot. Needs systemd-boot-efi dosfstools mtools. */
import { execFileSync } from 'node:child_process';
import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const LOADER = '/usr/lib/systemd/boot/efi/systemd-bootx64.efi';

/** A disk image that is one FAT file system, as removable media may be. */
export class EspImage {
  readonly path: string;

  /** Makes the file system, with systemd-boot that waits for nobody. */
  constructor(path: string, mebibytes = 256) {
    this.path = path;
    rmSync(path, { force: true });
    writeFileSync(path, '');
    truncateSync(path, mebibytes << 20);
    execFileSync('mkfs.vfat', ['-F', '32', '-n', 'ESP', path], { stdio: 'ignore' });
    this.add('EFI/BOOT/BOOTX64.EFI', LOADER);
    this.write('loader/loader.conf', 'timeout 0\nconsole-mode keep\neditor no\n');
  }

  /** Copies a file of this machine into the image; directories come by themselves. */
  add(name: string, file: string): void {
    this.#makeDirectories(dirname(name));
    execFileSync('mcopy', ['-o', '-i', this.path, file, `::${name}`]);
  }

  write(name: string, content: string): void {
    this.#makeDirectories(dirname(name));
    execFileSync('mcopy', ['-o', '-i', this.path, '-', `::${name}`], { input: content });
  }

  /** Names in a directory of the image. */
  list(directory: string): string[] {
    const text = execFileSync('mdir', ['-b', '-i', this.path, `::${directory}`], { encoding: 'utf8' });
    return text.split('\n').flatMap((line) => /([^/]+)\/?$/.exec(line.trim())?.[1] ?? []);
  }

  #makeDirectories(directory: string): void {
    const parts = directory.split('/');
    // -D s: one that exists is left alone.
    for (let depth = 1; depth <= parts.length; depth++)
      execFileSync('sh', [
        '-c',
        'mmd -D s -i "$1" "$2" 2>/dev/null || :',
        'sh',
        this.path,
        `::${parts.slice(0, depth).join('/')}`,
      ]);
  }
}
