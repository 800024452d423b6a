/** Amounts in words for people. */

/** `1 image`, `2 images`. */
export function countOf(amount: number, what: string): string {
  return `${amount} ${what}${amount === 1 ? '' : 's'}`;
}
