/** Which names the device side takes for stacks, channels and images: they become file names, words of text files and keys. */
import { OsupdError } from '../core/errors.ts';

/** A stack's name is also the name of its links; `.` is left to files that osupd makes beside them. */
const STACK = /^[a-z0-9][a-z0-9_-]{0,63}$/;
/** Names and versions of releases, and channels: one word, no `/`, never hidden. */
const WORD = /^[A-Za-z0-9][A-Za-z0-9._+~:@-]{0,127}$/;

export function isStackName(text: string): boolean {
  return STACK.test(text);
}

export function isWord(text: string): boolean {
  return WORD.test(text);
}

/** @throws OsupdError `usage` */
export function checkStackName(text: string): string {
  if (isStackName(text)) return text;
  throw new OsupdError('usage', `"${text}" cannot name a stack`, {
    remedy: 'use up to 64 lower-case letters, digits, - and _',
  });
}
