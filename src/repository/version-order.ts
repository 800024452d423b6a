/** The order of versions: runs of digits count as numbers, `~` comes before everything, even the end (as dpkg orders them). */

/** Negative, zero or positive. `1.9` < `1.10`, `2~rc1` < `2`, `1.0` < `1.0a`. */
export function compareVersions(a: string, b: string): number {
  const left = parts(a);
  const right = parts(b);
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    // Every second part is a number; one that is missing counts as 0.
    const compare = at % 2 === 1 ? compareNumbers : compareTexts;
    const order = compare(left[at] ?? '', right[at] ?? '');
    if (order !== 0) return order;
  }
  return 0;
}

/** Texts and numbers in turn, a text first: `1.10b` is `''`, `1`, `.`, `10`, `b`. */
function parts(version: string): string[] {
  return version.split(/(\d+)/);
}

function compareNumbers(a: string, b: string): number {
  const [x, y] = [BigInt(a), BigInt(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

function compareTexts(a: string, b: string): number {
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const order = rank(a[at]) - rank(b[at]);
    if (order !== 0) return order;
  }
  return 0;
}

/** `~`, then the end, then letters, everything else. */
function rank(character: string | undefined): number {
  if (character === '~') return -1;
  if (character === undefined) return 0;
  const code = character.charCodeAt(0);
  return /[A-Za-z]/.test(character) ? code : code + 0x100;
}
