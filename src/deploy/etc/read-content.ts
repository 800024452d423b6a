/** Contents of files of /etc, wherever they are: in the image, in an upper directory, in the pool. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { toBytes, toText } from '../../core/bytes.ts';
import { OsupdError, toOsupdError } from '../../core/errors.ts';
import { fsverityDigest } from '../../objects/fsverity.ts';
import type { FileNode } from '../../tree/tree.ts';
import type { OpenContent } from '../write-tree.ts';

/**
 * Reads a file whole and compares it with its digest; the caller has checked its size.
 * @throws OsupdError `changed-while-read` for a local file, `damaged-store` for an object, `invalid-tree` for one that nothing names.
 */
export async function readContent(file: FileNode, open: OpenContent): Promise<Uint8Array> {
  if (file.size === 0) return new Uint8Array();
  if (file.content !== undefined) return file.content;
  if (file.source !== undefined) {
    const bytes = readSource(toBytes(file.source), file.size);
    if (bytes !== undefined && fsverityDigest(bytes) === file.digest) return bytes;
    throw new OsupdError('changed-while-read', 'the file was written to while it was read', {
      where: toText(file.source),
    });
  }
  if (file.digest === undefined) throw new OsupdError('invalid-tree', 'the image names no digest for a file of /etc');
  await using object = await open(file.digest);
  const bytes = await object.read(0, file.size);
  if (fsverityDigest(bytes) === file.digest) return bytes;
  throw new OsupdError('damaged-store', 'the object does not have the content of its name', {
    where: object.path,
    remedy: 'run "osupd fsck --repair"',
    facts: { object: file.digest },
  });
}

/** Undefined when the file is shorter by now. */
function readSource(path: Buffer, size: number): Uint8Array | undefined {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const bytes = new Uint8Array(size);
      let done = 0;
      for (let count = -1; count !== 0 && done < size; done += count)
        count = readSync(fd, bytes, done, size - done, done);
      return done === size ? bytes : undefined;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const known = toOsupdError(error, toText(path.toString('latin1')));
    if (known.code === 'not-found') return undefined;
    throw known;
  }
}
