/** Writes tar archives block by block, right or wrong. */

export interface HeaderFields {
  name: string | Buffer;
  type?: string;
  size?: number;
  mode?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  link?: string;
  device?: [number, number];
  magic?: string;
  /** Bytes put in place last, before the checksum. */
  raw?: [number, Buffer][];
}

export function header(fields: HeaderFields): Buffer {
  const block = Buffer.alloc(512);
  const number = (offset: number, length: number, value: number) =>
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, 'latin1');
  block.set(Buffer.from(fields.name as string).subarray(0, 100), 0);
  number(100, 8, fields.mode ?? 0o644);
  number(108, 8, fields.uid ?? 0);
  number(116, 8, fields.gid ?? 0);
  number(124, 12, fields.size ?? 0);
  number(136, 12, fields.mtime ?? 1_700_000_000);
  block.write(fields.type ?? '0', 156, 'latin1');
  block.write(fields.link ?? '', 157, 100, 'utf8');
  block.write(fields.magic ?? 'ustar\x0000', 257, 'latin1');
  number(329, 8, fields.device?.[0] ?? 0);
  number(337, 8, fields.device?.[1] ?? 0);
  for (const [offset, bytes] of fields.raw ?? []) block.set(bytes, offset);
  block.write('        ', 148, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc(-data.length & 511)]);
}

export function fileEntry(
  name: string | Buffer,
  content: string | Buffer = '',
  fields: Partial<HeaderFields> = {},
): Buffer {
  const data = Buffer.from(content as string);
  return Buffer.concat([header({ ...fields, name, size: data.length }), padded(data)]);
}

export function directoryEntry(name: string, fields: Partial<HeaderFields> = {}): Buffer {
  return header({ mode: 0o755, ...fields, name, type: '5' });
}

/** One pax record with its length. */
export function record(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value as string), Buffer.from('\n')]);
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

export function pax(records: Record<string, string | Buffer>, type: 'x' | 'g' = 'x'): Buffer {
  return fileEntry('pax', Buffer.concat(Object.entries(records).map(([key, value]) => record(key, value))), { type });
}

export const END = Buffer.alloc(1024);

/** A whole archive. */
export function archive(...entries: Buffer[]): Buffer {
  return Buffer.concat([...entries, END]);
}

/** The bytes as a stream, in pieces of the given sizes in turn (one piece without them). */
export async function* stream(bytes: Uint8Array, sizes: readonly number[] = []): AsyncGenerator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes.length === 0 ? bytes.length : (sizes[turn % sizes.length] as number);
    // A copy, as from a source that reuses its buffer.
    yield Buffer.from(bytes.subarray(at, at + size));
    at += size;
  }
}
