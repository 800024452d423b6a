import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { enableVerity, measureVerity } from '../../src/sys/verity.ts';
import { mountFileSystem, unmountFileSystems } from '../helpers/file-systems.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();
const KERNEL_HAS_VERITY = existsSync('/sys/fs/ext4/features/verity');
/** fs-verity digest of "hello world" (test vector of the fsverity utilities' documentation and of composefs). */
const HELLO = '1e2eaa4202d750a41174ee454970b92c1bc2f925b1e35076d8c7d5f56362ba64';

function withFile<Result>(path: string, use: (fd: number) => Result): Result {
  const fd = openSync(path, 'r');
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

describeWith(['root', 'mkfs.ext4'], 'fs-verity', () => {
  let ext4 = '';
  let tmpfs = '';

  beforeAll(() => {
    enterMountNamespace();
    ext4 = mountFileSystem(directory, 'ext4');
    tmpfs = mountFileSystem(directory, 'tmpfs');
  });

  afterAll(unmountFileSystems);

  it('a file is sealed where kernel and file system can, and the kernel gives the digest of its content', () => {
    const path = join(ext4, 'file');
    writeFileSync(path, 'hello world');
    expect(withFile(path, measureVerity)).toBeUndefined();
    expect(withFile(path, enableVerity)).toBe(KERNEL_HAS_VERITY ? 'enabled' : 'unsupported');
    expect(withFile(path, enableVerity)).toBe(KERNEL_HAS_VERITY ? 'already-enabled' : 'unsupported');
    expect(withFile(path, measureVerity)).toBe(KERNEL_HAS_VERITY ? HELLO : undefined);
  });

  it('a file system without fs-verity is told apart from a failure', () => {
    const path = join(tmpfs, 'file');
    writeFileSync(path, 'hello world');
    expect(withFile(path, enableVerity)).toBe('unsupported');
    expect(withFile(path, measureVerity)).toBeUndefined();
  });

  it('a writer that stays is an error with its errno', () => {
    const path = join(ext4, 'written');
    writeFileSync(path, 'hello world');
    const writer = openSync(path, 'r+');
    if (KERNEL_HAS_VERITY)
      expect(() => withFile(path, enableVerity)).toThrow(expect.objectContaining({ facts: { errno: 'ETXTBSY' } }));
    else expect(withFile(path, enableVerity)).toBe('unsupported');
    closeSync(writer);
  });

  it('a descriptor of something that is no file is an error', () => {
    expect(() => withFile(ext4, measureVerity)).not.toThrow();
    expect(() => measureVerity(-1)).toThrow(expect.objectContaining({ code: 'io', facts: { errno: 'EBADF' } }));
    expect(() => enableVerity(-1)).toThrow(expect.objectContaining({ facts: { errno: 'EBADF' } }));
  });
});
