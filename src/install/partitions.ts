/**
 * What is where on a new disk: a GPT with an EFI system partition and one for the state, of the types that the Discoverable Partitions
 * Specification has (https://uapi-group.org/specifications/specs/discoverable_partitions_specification/).
 */
import { OsupdError } from '../core/errors.ts';
import type { DiskGeometry } from '../sys/block-device.ts';

/** Partitions begin and end at whole MiB; the first and the last one of a disk are for the table and its copy. */
export const MIB = 1 << 20;

/** Below it mkfs.vfat makes no FAT32 of 4096-byte blocks that all firmware reads. */
const MIN_ESP_BYTES = 300 * MIB;
/** Four kernels with initrds of 100 MB. */
export const DEFAULT_ESP_BYTES = 512 * MIB;
/** The smallest xfs. */
const MIN_STATE_BYTES = 300 * MIB;

const ESP_TYPE = 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B';

/** Types of a root partition, by architecture as `uname -m` says it. */
const ROOT_TYPES: Readonly<Record<string, string>> = {
  x86_64: '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709',
  aarch64: 'B921B045-1DF0-41C3-AF44-4C6F280D3FAE',
  riscv64: '72EC70A6-CF74-40E6-BD49-4BDA08E8F224',
};

export interface Partition {
  readonly name: 'esp' | 'state';
  readonly type: string;
  /** PARTUUID. */
  readonly uuid: string;
  /** Bytes. */
  readonly offset: number;
  readonly length: number;
}

export interface DiskPlan {
  /** UUID of the disk. */
  readonly uuid: string;
  readonly esp: Partition;
  readonly state: Partition;
}

export interface PlanRequest {
  readonly where: string;
  readonly espBytes: number;
  /** What the state must be able to hold, in bytes. */
  readonly stateBytes: number;
  readonly architecture: string;
  readonly newUuid: () => string;
}

/** @throws OsupdError `no-space` that says how much the disk is short; `usage` for an ESP that is too small. */
export function planDisk(disk: DiskGeometry, request: PlanRequest): DiskPlan {
  const { where, newUuid } = request;
  const espBytes = Math.ceil(request.espBytes / MIB) * MIB;
  if (espBytes < MIN_ESP_BYTES) {
    throw new OsupdError('usage', `an EFI system partition has ${MIN_ESP_BYTES} bytes at least, not ${espBytes}`, {
      where: '--esp-size',
    });
  }
  const needed = espBytes + Math.max(request.stateBytes, MIN_STATE_BYTES) + 2 * MIB;
  const missing = needed - disk.bytes;
  if (missing > 0) {
    throw new OsupdError('no-space', `the disk has ${disk.bytes} bytes, ${missing} less than the ${needed} it takes`, {
      where,
      remedy: 'take a larger disk; --size sets the size of an image file',
      facts: { missing, needed, size: disk.bytes },
    });
  }
  const stateOffset = MIB + espBytes;
  const stateLength = Math.floor(disk.bytes / MIB) * MIB - MIB - stateOffset;
  return {
    uuid: newUuid(),
    esp: { name: 'esp', type: ESP_TYPE, uuid: newUuid(), offset: MIB, length: espBytes },
    state: {
      name: 'state',
      type: rootType(request.architecture),
      uuid: newUuid(),
      offset: stateOffset,
      length: stateLength,
    },
  };
}

/** A script for sfdisk(8). */
export function partitionScript({ uuid, esp, state }: DiskPlan, { blockBytes }: DiskGeometry): string {
  const line = ({ name, type, uuid: id, offset, length }: Partition) =>
    `start=${offset / blockBytes}, size=${length / blockBytes}, type=${type}, uuid=${id}, name="${name}"`;
  return ['label: gpt', `label-id: ${uuid}`, 'unit: sectors', '', line(esp), line(state), ''].join('\n');
}

function rootType(architecture: string): string {
  const type = ROOT_TYPES[architecture];
  if (type !== undefined) return type;
  throw new OsupdError('unsupported', `no disk for the architecture ${architecture} can be made`, {
    remedy: `it can be ${Object.keys(ROOT_TYPES).join(', ')}`,
  });
}
