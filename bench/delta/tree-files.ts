/** The regular files of a tree by what is in them. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Path of the first file with each content, by the content's SHA-256; empty files aside. */
function contentsOf(directory: string): Map<string, string> {
  const contents = new Map<string, string>();
  for (const path of filesIn(directory)) {
    const bytes = readFileSync(join(directory, path));
    const key = createHash('sha256').update(bytes).digest('hex');
    if (bytes.length > 0 && !contents.has(key)) contents.set(key, path);
  }
  return contents;
}

/** A new content and the old file that it most likely grew from. Paths are relative to their trees. */
export interface NewFile {
  readonly path: string;
  readonly base: string | undefined;
}

/** One for each content of the new tree that the old one does not have. The base has the same path, or the same but for digits. */
export function newFiles(oldDirectory: string, newDirectory: string): NewFile[] {
  const old = contentsOf(oldDirectory);
  const paths = new Set(filesIn(oldDirectory));
  const masked = new Map([...paths].map((path) => [maskDigits(path), path]));
  const fresh = [...contentsOf(newDirectory)].filter(([key]) => !old.has(key)).map(([, path]) => path);
  return fresh.map((path) => ({ path, base: paths.has(path) ? path : masked.get(maskDigits(path)) }));
}

function filesIn(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => relative(directory, join(parentPath, name))).sort();
}

function maskDigits(path: string): string {
  return path.replace(/\d+/g, '#');
}
