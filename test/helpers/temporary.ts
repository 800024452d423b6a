/** A directory that lives as long as one test file. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** Makes a new directory, removed after all tests of the file. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'osupd-test-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
