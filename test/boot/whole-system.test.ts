/**
 * A real Debian in a virtual machine, from `osupd install` on: systemd is process 1, UEFI firmware starts systemd-boot, osupd runs inside,
 * and updates come over HTTP. Nobody touches the machine: it follows its channel, and what fails comes back by itself.
 * Long: a dozen starts of a system without hardware virtualization; OSUPD_TEST_SCALE above 1.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { objectName } from '../../src/core/digest.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { deviceTree, filesLayer, osupdLayer } from '../helpers/device-tree.ts';
import { jsonOf } from '../helpers/run-command.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { Machine } from '../helpers/virtual-machine.ts';
import { startWebServer, type WebServer } from '../helpers/web-server.ts';

const LONG = Number(process.env.OSUPD_TEST_SCALE ?? 1) > 1;
const MINUTE = 60_000;
const BLOCK = 4096;
const DRIVER = `#!/bin/sh
# What a device does by itself: it takes what its channel offers, and starts again.
say() { echo "DEVICE: $*"; }
version=$(cat /usr/share/version)
until systemctl is-active --quiet osupd-mark-good; do sleep 1; done
say "version $version is good"
touch "/etc/of-version-$version"
say "changes in /etc: $(cd /etc && echo of-version-*)"
until said=$(osupd upgrade 2>&1); do
  say "stays: $said"
  sleep 2
done
sync
say "has taken: $said"
systemctl reboot
`;
const UNIT = `[Unit]
Description=Follow the channel, unattended
After=osupd-mark-good.service
[Service]
ExecStart=/usr/bin/device
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
`;

describe.runIf(LONG)('a whole system', () => {
  const base = temporaryDirectory();
  const [directory, pool, keys, disk] = ['repo', 'pool', 'keys', 'disk'].map((name) => join(base, name)) as [
    string,
    string,
    string,
    string,
  ];
  const variables = join(base, 'variables');
  let server: WebServer;
  let tree: string;
  let own: string;
  let machine: Machine;
  /** How much of its log has been looked at. */
  let seen = 0;

  /** Builds a version of the system, and offers it. */
  async function offer(version: number, files: Parameters<typeof filesLayer>[1] = {}): Promise<void> {
    const layer = filesLayer(join(base, `layer-${version}`), {
      'usr/bin/device': DRIVER,
      'usr/lib/systemd/system/device.service': UNIT,
      'usr/lib/systemd/system/multi-user.target.wants/device.service': { link: '../device.service' },
      // One attempt makes the test shorter; three are the default.
      'usr/lib/osupd/osupd.toml': '[boot]\ntries = 1\nfailure = "reboot:1"\n',
      'usr/share/version': `${version}`,
      'usr/share/more': `of version ${version} `.repeat(500),
      ...files,
    });
    const signed = [directory, '--keys', keys];
    await jsonOf(['build', tree, own, layer, '--name', 'os', '--version', `${version}`, '--pool', pool]);
    await jsonOf(['repo', 'publish', ...signed, '--pool', pool, '--no-full', '--effort', '1', `os@${version}`]);
    await jsonOf(['repo', 'channel', ...signed, 'stable', `os@${version}`]);
  }

  function start(): void {
    seen = 0;
    const qemu = ['-nic', 'user,model=virtio-net-pci'];
    machine = new Machine({ disks: [disk], firmware: { variables }, restarts: true, qemu, limit: 3600 });
  }

  /** Waits for a sign that comes after the one before. */
  async function next(sign: RegExp): Promise<void> {
    await machine.until(sign, seen);
    seen += machine.log.slice(seen).search(sign) + 1;
  }

  beforeAll(async () => {
    tree = deviceTree();
    own = osupdLayer(join(base, 'osupd'));
    await jsonOf(['repo', 'init', directory, '--keys', keys]);
    await offer(1);
    server = await startWebServer(directory);
    const url = server.url.replace('127.0.0.1', '10.0.2.2');
    const words = ['console=ttyS0', 'quiet', 'loglevel=4', 'panic=1', 'mitigations=off', 'systemd.show_status=false'];
    const trust = join(directory, 'metadata/1.root.json');
    await jsonOf([
      ...['install', '--disk', disk, '--size', '2G', '--url', url, '--from', directory, '--trust', trust],
      ...words.flatMap((word) => ['--argument', word]),
    ]);
  }, 20 * MINUTE);

  afterAll(async () => {
    await machine?.kill();
    await server?.close();
  });

  it(
    'boots what was installed, takes an update, boots that, and keeps its changes in /etc',
    async () => {
      start();
      await next(/DEVICE: version 1 is good/);
      await offer(2);
      await next(/DEVICE: has taken: .*os 1 -> 2/);
      await next(/DEVICE: version 2 is good/);
      await next(/DEVICE: changes in \/etc: of-version-1 of-version-2\n/);
    },
    15 * MINUTE,
  );

  it(
    'comes back by itself from a version whose init exits',
    async () => {
      await offer(3, { 'usr/lib/systemd/systemd': '#!/bin/sh\nexit 1\n' });
      await next(/DEVICE: has taken: .*os 2 -> 3/);
      await next(/Attempted to kill init/);
      await next(/DEVICE: version 2 is good/);
      await next(/DEVICE: stays: .*os 2 -> 3 failed here/);
    },
    15 * MINUTE,
  );

  it(
    'comes back by itself from a version whose kernel panics',
    async () => {
      const name = readdirSync(join(tree, 'boot')).find((each) => each.startsWith('initrd.img-')) ?? '';
      await offer(4, { [`boot/${name}`]: 'no initrd at all '.repeat(1000) });
      await next(/DEVICE: has taken: .*os 2 -> 4/);
      await next(/Kernel panic - not syncing: VFS: Unable to mount root fs/);
      await next(/DEVICE: version 2 is good/);
      await next(/DEVICE: stays: .*os 2 -> 4 failed here/);
    },
    15 * MINUTE,
  );

  it(
    'comes back by itself when a bit of the new init has flipped on the disk, under fs-verity',
    async () => {
      const init = Buffer.concat([readFileSync(join(tree, 'usr/lib/systemd/systemd')), Buffer.from('of version 5')]);
      await offer(5, { 'usr/lib/systemd/systemd': init });
      await next(/DEVICE: has taken: .*os 2 -> 5/);
      // The power goes, and the disk takes harm.
      await machine.kill();
      flipBit(disk, `/var/lib/osupd/objects/${objectName(fsverityDigest(init))}`, 70_000);
      start();
      await next(/osupd: init: .*Input\/output error/);
      await next(/DEVICE: version 2 is good/);
      await next(/DEVICE: stays: .*os 2 -> 5 failed here/);
      await machine.kill();
      const { stdout, stderr } = spawnSync('e2fsck', ['-fp', stateOf(disk)], { encoding: 'utf8' });
      expect(`${stdout}${stderr}`).not.toContain('UNEXPECTED INCONSISTENCY');
    },
    15 * MINUTE,
  );
});

/** The state partition of a disk, as e2fsprogs name it. */
function stateOf(disk: string): string {
  return `${disk}?offset=${stateOffset(disk)}`;
}

function stateOffset(disk: string): number {
  const { partitiontable } = JSON.parse(execFileSync('sfdisk', ['--json', disk], { encoding: 'utf8' }));
  return partitiontable.partitions[1].start * 512;
}

/** Changes one bit of a file on the disk, unseen by its file system. */
function flipBit(disk: string, path: string, position: number): void {
  // What the machine had only in its journal comes to its place.
  spawnSync('e2fsck', ['-p', stateOf(disk)]);
  const blocks = execFileSync('debugfs', ['-R', `blocks ${path}`, stateOf(disk)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const block = Number(blocks.trim().split(/\s+/)[Math.floor(position / BLOCK)]);
  expect(block).toBeGreaterThan(0);
  const at = stateOffset(disk) + block * BLOCK + (position % BLOCK);
  const fd = openSync(disk, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, at);
  writeSync(fd, Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, at);
  closeSync(fd);
}
