import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isOpenElsewhere } from '../../src/sys/open-elsewhere.ts';
import { itWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();

function newFile(): string {
  const path = join(mkdtempSync(join(directory, 'f-')), 'file');
  writeFileSync(path, 'content');
  return path;
}

describe('whether a file is open elsewhere', () => {
  it('knows the descriptors of this process', () => {
    const path = newFile();
    expect(isOpenElsewhere(path)).toBe(false);
    const fd = openSync(path, 'r');
    expect(isOpenElsewhere(path)).toBe(true);
    closeSync(fd);
    expect(isOpenElsewhere(path)).toBe(false);
  });

  it('knows those of other processes', async () => {
    const path = newFile();
    const child = spawn('sh', ['-c', 'exec 3<"$1"; echo open; exec cat', 'sh', path]);
    await once(child.stdout, 'data');
    expect(isOpenElsewhere(path)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(isOpenElsewhere(path)).toBe(false);
  });

  it('asking leaves nothing that would hold up the next to open the file, for reading or writing', () => {
    const path = newFile();
    for (let round = 0; round < 100; round++) {
      expect(isOpenElsewhere(path)).toBe(false);
      for (const flags of ['r', 'r+']) closeSync(openSync(path, flags));
    }
  });

  it('a missing file is not-found', () => {
    expect(() => isOpenElsewhere('/nowhere')).toThrow(expect.objectContaining({ code: 'not-found' }));
  });

  itWith(['root'], "somebody else's file without the right to lease it: the kernel cannot tell", () => {
    const path = newFile();
    process.seteuid?.(65534);
    try {
      expect(isOpenElsewhere('/etc/passwd')).toBeUndefined();
    } finally {
      process.seteuid?.(0);
    }
    expect(isOpenElsewhere(path)).toBe(false);
  });
});
