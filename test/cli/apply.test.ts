import { beforeAll, describe, expect, it } from 'vitest';
import { BootDevice } from '../helpers/boot-device.ts';
import { jsonOf, runCommand } from '../helpers/run-command.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

describe('switch --apply', () => {
  const directory = temporaryDirectory();
  let root: string;
  const dryRun = (way: string) => ['--root', root, 'switch', '--dry-run', `--apply=${way}`];

  beforeAll(async () => {
    const machine = await BootDevice.create(directory);
    root = machine.device.directory;
    await machine.deploy('1');
  });

  it('says how the deployment would come into use, and why', async () => {
    const { status, stdout } = await runCommand(dryRun('auto'));
    expect(status).toBe(0);
    // This machine was not booted by osupd; in a container not by systemd either.
    expect(stdout).toMatch(
      /^would apply by reboot: (what runs was not booted from a deployment|process 1 is not systemd|systemd \d+ .*)$/m,
    );
    expect(await jsonOf(dryRun('reboot'))).toMatchObject({
      dryRun: true,
      apply: { apply: 'reboot', reason: 'it was asked for' },
    });
  });

  it('refuses a soft reboot that is not enough', async () => {
    const { status, stderr } = await runCommand(dryRun('soft-reboot'));
    expect(status).toBe(9);
    expect(stderr).toMatch(/a soft reboot is not enough: .*--apply=reboot/s);
  });
});
