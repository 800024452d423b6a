/**
 * Generations: a number for each entry of a stack, `generations/STACK` in the device root holds the last one. None is used twice, also when
 * the entry that had it is gone: GRUB keeps by this number how many attempts are left.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isSystemError, toOsupdError } from '../../core/errors.ts';
import { syncDirectory, writeFileDurably } from '../../sys/durable.ts';
import type { DeviceRoot } from '../device.ts';
import { checkStackName } from '../stack-name.ts';
import type { BootPartition } from './boot-partition.ts';
import { ENTRIES_DIRECTORY, parseEntryName } from './entry.ts';

/** Greater than all before. Names that boot loaders leave out count, too. */
export function nextGeneration(device: DeviceRoot, boot: BootPartition, stack: string): number {
  const names = boot.list(ENTRIES_DIRECTORY).flatMap((file) => parseEntryName(file) ?? []);
  const used = names.filter((name) => name.stack === stack).map(({ generation }) => generation);
  return 1 + Math.max(lastGeneration(device, stack), ...used);
}

/** Notes, before an entry is written, that its number is used. */
export async function useGeneration(device: DeviceRoot, stack: string, generation: number): Promise<void> {
  const path = recordOf(device, stack);
  try {
    if (mkdirSync(dirname(path), { recursive: true }) !== undefined) syncDirectory(device.directory);
  } catch (error) {
    throw toOsupdError(error, path);
  }
  await writeFileDurably(path, `${generation}\n`);
}

function lastGeneration(device: DeviceRoot, stack: string): number {
  try {
    return Number(/^\d{1,9}$/m.exec(readFileSync(recordOf(device, stack), 'latin1'))?.[0] ?? 0);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return 0;
    throw toOsupdError(error);
  }
}

function recordOf(device: DeviceRoot, stack: string): string {
  return join(device.directory, 'generations', checkStackName(stack));
}
