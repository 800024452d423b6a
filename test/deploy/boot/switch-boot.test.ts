import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { noProgress } from '../../../src/core/progress.ts';
import { markBad, markGood, settleBoot } from '../../../src/deploy/boot/mark-boot.ts';
import { rollbackAtBoot, switchAtBoot } from '../../../src/deploy/boot/switch-boot.ts';
import { collectGarbage } from '../../../src/deploy/collect-garbage.ts';
import { listDeploymentIds } from '../../../src/deploy/deployment.ts';
import { readFailed } from '../../../src/deploy/failed.ts';
import { readLinks } from '../../../src/deploy/links.ts';
import { pin } from '../../../src/deploy/pins.ts';
import { undeploy } from '../../../src/deploy/undeploy.ts';
import { BootDevice, mountPartition, STACK } from '../../helpers/boot-device.ts';
import { enterMountNamespace } from '../../helpers/mount-namespace.ts';
import { describeWith, itWith } from '../../helpers/requirements.ts';
import { temporaryDirectory } from '../../helpers/temporary.ts';

const directory = temporaryDirectory();
const options = { progress: noProgress };
const entriesOf = ({ partition }: BootDevice) => readdirSync(join(partition, 'loader/entries')).sort();
const linksOf = ({ device }: BootDevice) => readLinks(device.root, STACK);

/** What systemd-boot does when it starts an entry, and does so again until no attempt is left. */
function attempt({ partition }: BootDevice, times: number): void {
  for (let done = 0; done < times; done++) {
    const entries = join(partition, 'loader/entries');
    const file = readdirSync(entries).find((name) => name.includes('+')) ?? '';
    const [, name, left, made = 0] = /^(.*)\+(\d)(?:-(\d))?\.conf$/.exec(file) ?? [];
    if (Number(left) === 0) return;
    renameSync(join(entries, file), join(entries, `${name}+${Number(left) - 1}-${Number(made) + 1}.conf`));
  }
}

/** Version 1 is booted and good; version 2 is next. */
async function prepared(boot = '') {
  const machine = await BootDevice.create(directory, { boot });
  const one = await machine.deploy('1');
  await machine.switch();
  machine.run(one);
  await markGood(machine.session());
  return { machine, one, two: await machine.deploy('2') };
}

describe('a switch at boot', () => {
  it('copies kernel and initrd and writes an entry that is counted', async () => {
    const machine = await BootDevice.create(directory);
    const { id } = await machine.deploy('1');
    const { entry, changed, etc } = await machine.switch();
    expect({ changed, etc: etc?.conflicts }).toEqual({ changed: true, etc: [] });
    expect(entriesOf(machine)).toEqual([`osupd-${STACK}-1-${id}+3.conf`]);
    const text = readFileSync(join(machine.partition, 'loader/entries', entry.file), 'utf8');
    const { kernel, initrd = '' } = entry.contents;
    expect(text).toBe(
      `title os 1 (${id})\nsort-key osupd-${STACK}\nversion 1\nlinux ${kernel}\ninitrd ${initrd}\n` +
        `options ${entry.contents.options.join(' ')}\n`,
    );
    expect(entry.contents.options.join(' ')).toMatch(
      new RegExp(
        `^osupd\\.stack=${STACK}/${id}:[0-9a-f]{64} osupd\\.root=${machine.device.directory} root=UUID=1234 rw$`,
      ),
    );
    expect(readFileSync(join(machine.partition, kernel), 'utf8')).toMatch(/^kernel 1\.+$/);
    expect(readFileSync(join(machine.partition, initrd), 'utf8')).toMatch(/^initrd 1\.+$/);
    expect(existsSync(join(machine.device.directory, 'etc', STACK, id, 'upper'))).toBe(true);
    expect(linksOf(machine)).toEqual({ next: id });
  });

  it('done again changes nothing; a dry run says what would be, and changes nothing', async () => {
    const { machine, two } = await prepared();
    const before = entriesOf(machine);
    const plan = await switchAtBoot(machine.session(), STACK, { ...options, dryRun: true });
    expect(plan).toMatchObject({ changed: true, to: { id: two.id }, files: [{ bytes: 20_000 }, { bytes: 30_000 }] });
    expect(entriesOf(machine)).toEqual(before);
    expect(readdirSync(join(machine.partition, 'osupd')).filter((name) => name.length === 64)).toHaveLength(2);
    expect((await machine.switch()).changed).toBe(true);
    const after = entriesOf(machine);
    expect((await machine.switch()).changed).toBe(false);
    expect(entriesOf(machine)).toEqual(after);
    expect(machine.menu()).toEqual(['2:2+3', '1:1']);
  });

  it('a kernel that two deployments share is there once', async () => {
    const { machine } = await prepared();
    await machine.deploy('3', '1');
    const { files } = await machine.switch();
    expect(files).toEqual([]);
    expect(machine.menu()).toEqual(['2:3+3', '1:1']);
    expect(readdirSync(join(machine.partition, 'osupd')).filter((name) => name.length === 64)).toHaveLength(2);
  });

  it('a kernel that was damaged on the partition is written anew', async () => {
    const { machine } = await prepared();
    const kernel = machine.session().boot.entries()[0]?.contents.kernel ?? '';
    writeFileSync(join(machine.partition, kernel), 'x'.repeat(20_000));
    await machine.deploy('3', '1');
    expect((await machine.switch()).files).toHaveLength(1);
    expect(readFileSync(join(machine.partition, kernel), 'utf8')).toMatch(/^kernel 1\.+$/);
  });

  it('what was to be tried, and is not next any more, leaves the menu', async () => {
    const { machine } = await prepared();
    await machine.switch();
    await machine.deploy('3');
    await machine.switch();
    expect(machine.menu()).toEqual(['3:3+3', '1:1']);
  });

  it('without root= it says so and writes nothing', async () => {
    const { machine } = await prepared();
    machine.configure('arguments = ["quiet"]');
    await expect(machine.switch()).rejects.toMatchObject({ code: 'usage', where: 'boot.arguments' });
    expect(machine.menu()).toEqual(['1:1']);
  });
});

describe('a deployment that was tried', () => {
  it('good: the counter goes, it is current, and the one before is the rollback', async () => {
    const { machine, one, two } = await prepared();
    await machine.switch();
    attempt(machine, 1);
    machine.run(two);
    expect(await markGood(machine.session())).toMatchObject({ id: two.id, changed: true, failed: [] });
    expect(machine.menu()).toEqual(['2:2', '1:1']);
    expect(linksOf(machine)).toEqual({ current: two.id, rollback: one.id });
    const before = entriesOf(machine);
    expect(await markGood(machine.session())).toMatchObject({ changed: false });
    expect(entriesOf(machine)).toEqual(before);
  });

  it('no attempt left: the old system notes that it failed, and it is gone from the menu', async () => {
    const { machine, one, two } = await prepared();
    await machine.switch();
    attempt(machine, 3);
    expect(machine.menu()).toEqual(['1:1', '2:2+0-3']);
    const { failed } = await markGood(machine.session());
    expect(failed).toMatchObject([{ id: two.id, why: 'it did not come up in 3 attempts' }]);
    expect(readFailed(machine.device.root, STACK)).toEqual(failed);
    expect(machine.menu()).toEqual(['1:1']);
    expect(linksOf(machine)).toEqual({ current: one.id });
  });

  it('the last attempt is running: nothing has failed', async () => {
    const { machine, two } = await prepared();
    await machine.switch();
    attempt(machine, 3);
    machine.run(two);
    expect(await settleBoot(machine.session())).toEqual([]);
    expect(await markGood(machine.session())).toMatchObject({ id: two.id, failed: [] });
    expect(machine.menu()).toEqual(['2:2', '1:1']);
  });

  it('bad before it was good: the current one boots again', async () => {
    const { machine, one, two } = await prepared();
    await machine.switch();
    attempt(machine, 1);
    machine.run(two);
    expect(await markBad(machine.session(), 'no picture', options)).toMatchObject({
      to: one.id,
      failed: { id: two.id, why: 'no picture' },
    });
    expect(machine.menu()).toEqual(['1:1']);
    expect(linksOf(machine)).toEqual({ current: one.id });
  });

  it('bad after it was good: the rollback is current, and boots', async () => {
    const { machine, one, two } = await prepared();
    await machine.switch();
    machine.run(two);
    await markGood(machine.session());
    await markBad(machine.session(), 'later', options);
    expect(machine.menu()).toEqual(['1:1']);
    expect(linksOf(machine)).toEqual({ current: one.id });
    expect(readFailed(machine.device.root, STACK)).toMatchObject([{ id: two.id }]);
  });

  it('bad without another one is refused', async () => {
    const machine = await BootDevice.create(directory);
    machine.run(await machine.deploy('1'));
    await machine.deploy('1');
    await expect(markBad(machine.session(), 'x', options)).rejects.toMatchObject({ code: 'not-found' });
    machine.run({ ...(await machine.deploy('2')), id: 'none' });
    await expect(markGood(machine.session())).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('a rollback at boot', () => {
  it('is before all others, without a counter, and returns the next time', async () => {
    const { machine, one, two } = await prepared();
    await machine.switch();
    machine.run(two);
    await markGood(machine.session());
    const change = await rollbackAtBoot(machine.session(), STACK, undefined, options);
    expect(change).toMatchObject({ to: { id: one.id }, changed: true, etc: undefined });
    expect(machine.menu()).toEqual(['3:1', '2:2']);
    expect(linksOf(machine)).toEqual({ current: two.id, rollback: one.id });
    machine.run(one);
    await markGood(machine.session());
    expect(linksOf(machine)).toEqual({ current: one.id, rollback: two.id });
    await rollbackAtBoot(machine.session(), STACK, undefined, options);
    expect(machine.menu()).toEqual(['4:2', '3:1']);
  });

  it('while a deployment is tried, goes to the current one', async () => {
    const { machine, one, two } = await prepared();
    await machine.switch();
    machine.run(two);
    const change = await rollbackAtBoot(machine.session(), STACK, undefined, options);
    expect(change?.to.id).toBe(one.id);
    expect(machine.menu()).toEqual(['3:1', '2:2+3']);
  });
});

describe('removal', () => {
  it('undeploy and gc take the entry, the kernel and /etc along; what is booted stays', async () => {
    const { machine, one, two } = await prepared();
    await machine.switch();
    machine.run(two);
    await markGood(machine.session());
    const three = await machine.deploy('3');
    await machine.switch();
    machine.run(three);
    const session = machine.session();
    const { device, configuration } = session;
    expect(() => undeploy(device, configuration, [{ stack: STACK, id: three.id }], session)).toThrow('booted');
    await markGood(session);
    expect(machine.menu()).toEqual(['3:3', '2:2', '1:1']);
    await collectGarbage(device, configuration, { session, progress: noProgress });
    expect(listDeploymentIds(device, STACK)).toEqual([two.id, three.id]);
    expect(machine.menu()).toEqual(['3:3', '2:2']);
    expect(readdirSync(join(machine.partition, 'osupd')).filter((name) => name.length === 64)).toHaveLength(4);
    expect(existsSync(join(device.directory, 'etc', STACK, one.id))).toBe(false);
    undeploy(device, configuration, [{ stack: STACK, id: two.id }], session);
    expect(machine.menu()).toEqual(['3:3']);
    expect(existsSync(join(device.directory, 'etc', STACK, two.id))).toBe(false);
  });
});

describeWith(['root'], 'a small boot partition', () => {
  beforeAll(() => enterMountNamespace());

  it('makes room by the entries that are missed least, and says how much is missing before it writes', async () => {
    using mounted = mountPartition(directory, 8);
    const partition = mounted.directory;
    const machine = await BootDevice.create(directory, { partition });
    const ids: string[] = [];
    for (const version of ['1', '2', '3', '4']) {
      const deployment = await machine.deploy(version);
      ids.push(deployment.id);
      await machine.switch();
      machine.run(deployment);
      await markGood(machine.session());
    }
    pin(machine.device.root, STACK, ids[1] ?? '');
    expect(machine.menu()).toEqual(['4:4', '3:3', '2:2', '1:1']);
    await machine.deploy('5');
    const leave = (name: string, bytes: number) =>
      writeFileSync(join(partition, name), Buffer.alloc(machine.session().boot.freeBytes() - bytes));
    // It asks for 393 kB; an entry that goes gives back 50 kB.
    leave('ballast', 360_000);
    await machine.switch();
    expect(machine.menu()).toEqual(['5:5+3', '4:4', '3:3', '2:2']);
    await machine.deploy('6');
    leave('more', 50_000);
    const before = entriesOf(machine);
    await expect(machine.switch()).rejects.toMatchObject({
      code: 'no-space',
      facts: { missing: expect.any(Number), needed: expect.any(Number) },
    });
    expect(entriesOf(machine)).toEqual(before);
    rmSync(join(partition, 'ballast'));
    await machine.switch();
    expect(machine.menu()).toEqual(['6:6+3', '4:4', '3:3', '2:2']);
  });

  itWith(['bootctl'], 'bootctl lists entries in the same order', async () => {
    using mounted = mountPartition(directory, 8);
    const partition = mounted.directory;
    const machine = await BootDevice.create(directory, { partition });
    await machine.deploy('1');
    await machine.switch();
    const [file = ''] = entriesOf(machine);
    const text = readFileSync(join(partition, 'loader/entries', file), 'utf8');
    for (const name of ['10-9-0123456789ab+0-3', '9-8-0123456789ab+1-2', '9-8-0123456789ab', '2-3-0123456789ab']) {
      const generation = `version ${Number.parseInt(name, 10)}`;
      writeFileSync(
        join(partition, `loader/entries/osupd-${STACK}-${name}.conf`),
        text.replace(/^version .*/m, generation),
      );
    }
    const output = execFileSync('bootctl', [`--esp-path=${partition}`, '--json=short', 'list'], {
      encoding: 'utf8',
      env: { ...process.env, SYSTEMD_RELAX_ESP_CHECKS: '1' },
    });
    const listed = [...output.matchAll(/"path":"[^"]*\/([^/"]+\.conf)"/g)].map(([, name]) => name);
    const sorted = machine.session().boot.entries();
    expect(listed).toEqual(sorted.map((entry) => entry.file));
    expect(listed).toHaveLength(5);
  });
});
