/**
 * Kernels for x86 (Linux, Documentation/arch/x86/boot.rst): a boot loader's part, a payload that is compressed, and the code that
 * unpacks it. The payload is the kernel as an ELF file with a table of its relocations behind it.
 */
import { ByteReader, ByteWriter, freeMemory } from '../../core/bytes.ts';
import { damagedDelta, damagedPart } from '../damage.ts';
import { readBases } from '../read-base.ts';
import { type StreamedContainer, wholePart } from './container.ts';
import {
  encodeLegacyDecisions,
  type LegacyFrame,
  LegacyRestorer,
  legacyContent,
  legacyFrameEnd,
  readLegacyFrame,
} from './lz4/legacy-frame.ts';

/** Places in the header. */
const SETUP_SECTORS = 0x1f1;
const MAGIC = 0x202;
const VERSION = 0x206;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const HEADER_BYTES = 0x250;
const SECTOR_BYTES = 512;

/** "HdrS", and the first version of the protocol that says where the payload is. */
const MAGIC_VALUE = 0x53726448;
const FIRST_VERSION = 0x0208;

/** Sectors of the setup where a kernel says none. */
const DEFAULT_SETUP_SECTORS = 4;

/** The payload ends with the size of its content. */
const SIZE_BYTES = 4;

interface Kernel {
  readonly start: number;
  readonly frame: LegacyFrame;
}

export const bzImage: StreamedContainer = {
  name: 'kernel for x86',
  begins(bytes) {
    return payloadOf(bytes) !== undefined;
  },
  async *unpackStream(base) {
    const bytes = await readBases([base]);
    const payload = payloadOf(bytes);
    const end = payload === undefined ? undefined : legacyFrameEnd(bytes, payload.start, payload.end);
    if (payload === undefined || end === undefined) throw damagedDelta('a base is no kernel for x86');
    yield once(around(bytes, payload.start, end));
    yield legacyContent(bytes, payload.start, end);
    freeMemory(bytes);
  },
  describe(bytes, limit) {
    const kernel = readKernel(bytes, limit);
    const decisions = kernel === undefined ? undefined : encodeLegacyDecisions(kernel.frame);
    if (kernel === undefined || decisions === undefined) return undefined;
    const out = new ByteWriter();
    out.varint(kernel.start);
    out.bytes(decisions);
    return { parts: partsOf(bytes, kernel), recipe: out.finish() };
  },
  async *restoreStream([frame, content, more], recipe) {
    if (frame === undefined || content === undefined || more !== undefined)
      throw damagedDelta('a kernel has two parts');
    const reader = new ByteReader(recipe, damagedPart('recipe of a kernel'));
    const start = reader.varint('where the payload begins');
    if (start > frame.size) throw damagedDelta('a kernel begins with more than it has');
    const outside = await wholePart(frame);
    yield outside.subarray(0, start);
    const restorer = new LegacyRestorer(reader.take(reader.remaining, 'decisions'));
    for await (const chunk of content.chunks) yield* restorer.append(chunk);
    yield* restorer.finish();
    yield outside.subarray(start);
  },
};

function payloadOf(bytes: Uint8Array): { start: number; end: number } | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(MAGIC, true) !== MAGIC_VALUE || view.getUint16(VERSION, true) < FIRST_VERSION) return undefined;
  const sectors = view.getUint8(SETUP_SECTORS) || DEFAULT_SETUP_SECTORS;
  const start = (sectors + 1) * SECTOR_BYTES + view.getUint32(PAYLOAD_OFFSET, true);
  const end = start + view.getUint32(PAYLOAD_LENGTH, true);
  return end > bytes.length || end - start < SIZE_BYTES ? undefined : { start, end: end - SIZE_BYTES };
}

function readKernel(bytes: Uint8Array, limit: number): Kernel | undefined {
  const payload = payloadOf(bytes);
  if (payload === undefined) return undefined;
  const { start, end } = payload;
  const frame = readLegacyFrame(bytes, start, end, limit - (bytes.length - (end - start)));
  return frame === undefined ? undefined : { start, frame };
}

/** What is around the payload, in one; then its content. */
function partsOf(bytes: Uint8Array, { start, frame }: Kernel): Uint8Array[] {
  return [around(bytes, start, frame.end), frame.content];
}

function around(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
