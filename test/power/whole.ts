/** Whether a disk that lost its power holds the old or the new deployment whole, and comes to order with one command. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BootPartition } from '../../src/deploy/boot/boot-partition.ts';
import { readDeployment } from '../../src/deploy/deployment.ts';
import { DeviceRoot } from '../../src/deploy/device.ts';
import type { StackLinks } from '../../src/deploy/links.ts';
import { brokenInvariants } from '../helpers/pools.ts';
import type { DeviceProcess } from './device-process.ts';
import { filesOf, type Laboratory, type Operation, type Outcomes } from './operations.ts';

/** Commands that change something; which one is run first after the cut does not matter. */
const LIVE_COMMANDS = [['activate'], ['gc'], ['pull'], ['switch'], ['upgrade'], ['rollback'], ['fsck', '--repair']];
const BOOT_COMMANDS = [['gc'], ['pull'], ['switch'], ['mark-good'], ['fsck', '--repair']];
const REPAIR_COMMANDS = [['fsck', '--repair']];

/**
 * Looks at the disk that is mounted, runs one command, and looks again.
 * @param pick a number that says which command. @returns what is not as it must be; nothing for a good state.
 */
export async function faultsOf(
  laboratory: Laboratory,
  { boots, damaged }: Operation,
  { before, after, broken }: Outcomes,
  process: DeviceProcess,
  pick: number,
): Promise<string[]> {
  const { root } = laboratory;
  const faults = brokenInvariants(root).filter((each) => !broken.includes(each));
  const links = await laboratory.links();
  if (![before, after].some((each) => isSame(each, links))) faults.push(`the links mean ${JSON.stringify(links)}`);
  faults.push(...(await deploymentFaults(root, links, damaged)));
  const commands = damaged ? REPAIR_COMMANDS : boots ? BOOT_COMMANDS : LIVE_COMMANDS;
  const command = commands[pick % commands.length] as readonly string[];
  const run = async (accepted: readonly number[], ...args: string[]) => {
    const result = await process.run(...args, '--root', root);
    if (result === undefined || !accepted.includes(result.status))
      faults.push(`osupd ${args.join(' ')} after osupd ${command.join(' ')}: ${JSON.stringify(result)}`);
    return result;
  };
  // Nothing new, nothing waits; or there is nothing to go back to.
  const nothingToDo = command[0] === 'rollback' && links.rollback === undefined ? 5 : 3;
  await run([0, nothingToDo], ...command);
  await run([0], 'fsck');
  faults.push(...brokenInvariants(root), ...(await deploymentFaults(root, await laboratory.links(), false)));
  if (boots) faults.push(...bootFaults(laboratory));
  else {
    await run([0], 'activate');
    faults.push(...stackFaults(laboratory, await laboratory.links()));
    laboratory.hide();
  }
  return faults;
}

function isSame(a: StackLinks, b: StackLinks): boolean {
  return a.current === b.current && a.next === b.next && a.rollback === b.rollback;
}

/** Deployments with a name that cannot be read, or without an image. */
async function deploymentFaults(root: string, links: StackLinks, damaged: boolean): Promise<string[]> {
  const device = await DeviceRoot.open(root);
  return Object.entries(links).flatMap(([kind, id]) => {
    try {
      const { images } = readDeployment(device, 'system', id);
      return images
        .filter(({ digest }) => !device.pool.hasImage(digest))
        .map(({ digest }) => `${kind} lacks ${digest}`);
    } catch (error) {
      return damaged && kind === 'rollback' ? [] : [`${kind}: ${(error as Error).message}`];
    }
  });
}

/** Differences between what the stack shows and a version. */
function stackFaults({ root, stack }: Laboratory, { current = '' }: StackLinks): string[] {
  const version = versionIn(root, current);
  return Object.entries(filesOf(version)).flatMap(([path, content]) => {
    const place = join(stack, path);
    return existsSync(place) && readFileSync(place).equals(content)
      ? []
      : [`${path} is not that of version ${version}`];
  });
}

/** Entries of the boot menu that do not start a whole deployment. */
function bootFaults({ root, bootDirectory }: Laboratory): string[] {
  const entries = new BootPartition(bootDirectory).entries('system');
  const faults = entries.flatMap(({ file, contents }) => {
    const id = /osupd\.stack=system\/([^:]+):/.exec(contents.options.join(' '))?.[1] ?? '';
    if (!existsSync(join(root, 'deployments/system', id))) return [`${file} names ${id}, which is not there`];
    const files = filesOf(versionIn(root, id));
    return [contents.kernel, contents.initrd].flatMap((path) => {
      const bytes = path === undefined ? undefined : readIfThere(join(bootDirectory, path));
      const good = bytes !== undefined && Object.values(files).some((content) => content.equals(bytes));
      return good ? [] : [`${file}: ${path} is not that of version ${versionIn(root, id)}`];
    });
  });
  return entries.length === 0 ? ['nothing can be booted'] : faults;
}

function versionIn(root: string, id: string): number {
  return Number(/ os (\d+)$/m.exec(readFileSync(join(root, 'deployments/system', id, 'stack'), 'utf8'))?.[1]);
}

function readIfThere(path: string): Buffer | undefined {
  return existsSync(path) ? readFileSync(path) : undefined;
}
