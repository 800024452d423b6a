/** Which entry of the old tree each entry of the new tree continues. */
import type { ByteString } from '../../core/bytes.ts';
import { maskDigits } from '../names.ts';
import { type FlatEntry, NO_ENTRY } from './entries.ts';

/**
 * For each new entry the number of the old one with the same path; else of one that is gone and whose path differs in
 * digits only (`/lib/modules/6.1.0-50/…` and `6.1.0-56`); else {@link NO_ENTRY}. Types always agree.
 */
export function matchEntries(base: readonly FlatEntry[], entries: readonly FlatEntry[]): Int32Array {
  if (base.length === 0) return new Int32Array(entries.length).fill(NO_ENTRY);
  const byPath = new Map<ByteString, number>();
  const oldPaths = pathsOf(base);
  oldPaths.forEach((path, index) => {
    byPath.set(path, index);
  });
  const newPaths = pathsOf(entries);
  const gone = goneByMaskedPath(oldPaths, new Set(newPaths));
  return Int32Array.from(newPaths, (path, index) => {
    const { type } = entries[index]!.entry;
    const same = byPath.get(path);
    if (same !== undefined) return base[same]!.entry.type === type ? same : NO_ENTRY;
    const candidates = gone.get(maskDigits(path));
    const found = candidates?.find((candidate) => base[candidate]!.entry.type === type);
    if (candidates === undefined || found === undefined) return NO_ENTRY;
    // One that was taken goes to the end: directories that became two are continued in turn.
    candidates.splice(candidates.indexOf(found), 1);
    candidates.push(found);
    return found;
  });
}

function goneByMaskedPath(
  oldPaths: readonly ByteString[],
  newPaths: ReadonlySet<ByteString>,
): Map<ByteString, number[]> {
  const gone = new Map<ByteString, number[]>();
  oldPaths.forEach((path, index) => {
    if (newPaths.has(path)) return;
    const masked = maskDigits(path);
    const list = gone.get(masked);
    if (list === undefined) gone.set(masked, [index]);
    else list.push(index);
  });
  return gone;
}

function pathsOf(entries: readonly FlatEntry[]): ByteString[] {
  const parents: ByteString[] = [];
  return entries.map(({ name, depth }) => {
    const path = depth === 0 ? '' : `${parents[depth - 1]}/${name}`;
    parents[depth] = path;
    return path;
  });
}
