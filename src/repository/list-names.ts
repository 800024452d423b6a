/** Directories that may not be there yet. */
import { readdir } from 'node:fs/promises';
import { isSystemError } from '../core/errors.ts';

/** The names in a directory, sorted; none where there is no such directory. */
export async function listNames(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  }
}
