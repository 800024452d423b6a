/** Small tree forms that ask for much memory. The limits are lowered, for they are far above what a test should use. */
import { expect, it, vi } from 'vitest';
import { ByteWriter } from '../../src/core/bytes.ts';
import { columnWriters, joinColumns } from '../../src/delta/tree-form/columns.ts';
import { readTreeForm } from '../../src/delta/tree-form/read-tree.ts';

const FILES = 1000;
const XATTRS = 50;

const lowered = vi.hoisted(() => ({ MAX_TREE_FORM_XATTRS: 0, MAX_TREE_NODES: 0 }));
vi.mock('../../src/core/limits.ts', async (original) => ({
  ...(await original<typeof import('../../src/core/limits.ts')>()),
  get MAX_TREE_FORM_XATTRS() {
    return lowered.MAX_TREE_FORM_XATTRS;
  },
  get MAX_TREE_NODES() {
    return lowered.MAX_TREE_NODES;
  },
}));

/** A root and files that all have the same xattrs, written once. */
function form(): Uint8Array {
  const columns = columnWriters();
  columns.counts.varint(FILES + 1);
  for (const number of [0, 0, FILES + 1]) columns.runs.varint(number);
  columns.masks.u8(4);
  columns.modeCodes.varint(0);
  columns.modes.varint(0o40755);
  columns.xattrs.bytes(xattrs());
  for (let file = 0; file < FILES; file++) {
    columns.masks.u8(1 + 32);
    columns.names.bytes(Buffer.from(`file-${String(file).padStart(4, '0')}\0`));
    columns.xattrCodes.varint(file === 0 ? 0 : 1);
  }
  return joinColumns(columns);
}

function xattrs(): Uint8Array {
  const writer = new ByteWriter();
  writer.varint(XATTRS);
  for (let number = 10; number < 10 + XATTRS; number++) {
    writer.varint(7);
    writer.bytes(Buffer.from(`user.${number}`));
    writer.varint(0);
  }
  return writer.finish();
}

const read = () => readTreeForm({ columns: form(), digests: new Uint8Array(0) });

it('as many nodes and xattrs as are allowed are read', () => {
  Object.assign(lowered, { MAX_TREE_FORM_XATTRS: FILES * XATTRS, MAX_TREE_NODES: FILES + 1 });
  expect(read().root.children.size).toBe(FILES);
});

it('xattrs that many files share count for each', () => {
  Object.assign(lowered, { MAX_TREE_FORM_XATTRS: FILES * XATTRS - 1, MAX_TREE_NODES: FILES + 1 });
  expect(read).toThrow(expect.objectContaining({ code: 'damaged-delta' }));
});

it('more nodes than are allowed are refused', () => {
  Object.assign(lowered, { MAX_TREE_FORM_XATTRS: FILES * XATTRS, MAX_TREE_NODES: FILES });
  expect(read).toThrow(expect.objectContaining({ code: 'damaged-delta' }));
});
