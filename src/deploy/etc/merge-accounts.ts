/**
 * The three-way merge of account files (passwd(5), group(5), shadow(5), gshadow(5), subuid(5), subgid(5)): by names, then by
 * fields, so that new system users come in beside local ones. Lists of members are merged as sets.
 */
import type { AccountFile } from './special-files.ts';

interface AccountMerge {
  readonly text: string;
  /** Names of which both sides changed the same; the local line stays. */
  readonly conflicts: readonly string[];
  /** IDs that two names have since the merge, in words. */
  readonly sameIds: readonly string[];
}

/** Fields that hold a list of names, separated by commas. */
const LISTS: Readonly<Partial<Record<AccountFile, readonly number[]>>> = { group: [3], gshadow: [2, 3] };
/** The field with the ID; subuid and subgid: the first ID, followed by how many. */
const ID_FIELD: Readonly<Partial<Record<AccountFile, number>>> = { passwd: 2, group: 2, subuid: 1, subgid: 1 };

/**
 * Merges one file. The order is that of the new default, followed by what only the local file has; lines that begin with
 * `+` or `-` (for NIS) stay at the end. All texts are byte strings; `old` is empty for a file that the old default did not have.
 */
export function mergeAccounts(file: AccountFile, old: string, local: string, next: string): AccountMerge {
  const [base, mine, theirs] = [recordsOf(old), recordsOf(local), recordsOf(next)];
  const conflicts: string[] = [];
  const names = [...new Set([...theirs.keys(), ...mine.keys()])].sort((a, b) => rank(a) - rank(b));
  const merged = names.flatMap((name) => {
    const [was, here, there] = [base.get(name) ?? [], mine.get(name) ?? [], theirs.get(name) ?? []];
    if (isSame(here, there) || isSame(was, there)) return here;
    if (isSame(was, here)) return there;
    const lines = file.startsWith('sub') ? mergeSets(was, here, there) : mergeRecord(file, was, here, there);
    if (lines === undefined) conflicts.push(name);
    return lines ?? here;
  });
  return {
    text: merged.map((line) => `${line}\n`).join(''),
    conflicts,
    sameIds: sameIds(file, merged, [mine, theirs]),
  };
}

/** Names of passwd or group that have another ID than before, in words. What they own outside the image does not follow. */
export function renumbered(before: string, after: string): string[] {
  const was = recordsOf(before);
  return [...recordsOf(after)].flatMap(([name, lines]) => {
    const [old, now] = [was.get(name)?.[0]?.split(':')[2], lines[0]?.split(':')[2]];
    return old === undefined || now === undefined || old === now ? [] : [`${name}: ${old} to ${now}`];
  });
}

/** The lines of each name: one, but for subuid and subgid. */
function recordsOf(text: string): Map<string, string[]> {
  const records = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const name = line.split(':', 1)[0] ?? '';
    const lines = records.get(name);
    if (lines === undefined) records.set(name, [line]);
    else lines.push(line);
  }
  return records;
}

function rank(name: string): number {
  return /^[+-]/.test(name) ? 1 : 0;
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((line, index) => line === b[index]);
}

/** What both sides have, what either added, and not what either removed. */
function mergeSets(old: readonly string[], local: readonly string[], next: readonly string[]): string[] {
  const all = [...new Set([...next, ...local])];
  return all.filter((each) => (old.includes(each) ? local.includes(each) && next.includes(each) : true));
}

/** Field by field; undefined for a conflict. */
function mergeRecord(
  file: AccountFile,
  old: readonly string[],
  local: readonly string[],
  next: readonly string[],
): string[] | undefined {
  const [was, here, there] = [old, local, next].map((lines) => (lines.length === 1 ? lines[0]?.split(':') : undefined));
  if (was === undefined || here === undefined || there === undefined) return undefined;
  if (was.length !== here.length || was.length !== there.length) return undefined;
  const fields = here.map((mine, index) => {
    const [before, theirs] = [was[index] ?? '', there[index] ?? ''];
    if (mine === theirs || theirs === before) return mine;
    if (mine === before) return theirs;
    if (!LISTS[file]?.includes(index)) return undefined;
    return mergeSets(members(before), members(mine), members(theirs)).join(',');
  });
  return fields.includes(undefined) ? undefined : [fields.join(':')];
}

function members(list: string): string[] {
  return list.split(',').filter((name) => name !== '');
}

/** IDs `[first, end)` of a name. */
interface Range {
  readonly name: string;
  readonly first: number;
  readonly end: number;
}

/** Ranges of two names that share an ID, unless one side has both names so itself: that was somebody's will. */
function sameIds(file: AccountFile, lines: readonly string[], sides: readonly Map<string, string[]>[]): string[] {
  const field = ID_FIELD[file];
  if (field === undefined) return [];
  const ranges = lines.flatMap((line) => rangeOf(line, field)).sort((a, b) => a.first - b.first);
  const wanted = (one: Range, other: Range) =>
    sides.some((side) =>
      [one, other].every(({ name, first }) => side.get(name)?.some((line) => rangeOf(line, field)[0]?.first === first)),
    );
  const found = new Set<string>();
  let furthest: Range | undefined;
  for (const range of ranges) {
    if (furthest !== undefined && range.first < furthest.end && range.name !== furthest.name) {
      if (!wanted(furthest, range)) found.add(`${furthest.name} and ${range.name}: ${range.first}`);
    }
    if (furthest === undefined || range.end > furthest.end) furthest = range;
  }
  return [...found];
}

function rangeOf(line: string, field: number): Range[] {
  const fields = line.split(':');
  const [name = '', first = '', count = ''] = [fields[0], fields[field], field === 1 ? fields[2] : '1'];
  return /^\d+$/.test(first) && /^\d+$/.test(count) ? [{ name, first: +first, end: +first + +count }] : [];
}
