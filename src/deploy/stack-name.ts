/** Names of stacks: they name directories and links on the device and tables in its configuration. */
import { OsupdError } from '../core/errors.ts';

/** `.` is left to names that osupd makes beside a stack's link. */
const PATTERN = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/** True for a name of a stack: lower-case letters, digits, `_` and `-`; at most 64, no sign in front. */
export function isStackName(text: string): boolean {
  return PATTERN.test(text);
}

/** @throws OsupdError `usage` */
export function checkStackName(text: string): string {
  if (isStackName(text)) return text;
  throw new OsupdError('usage', `"${text.slice(0, 200)}" is not a name for a stack`, {
    remedy: 'use at most 64 lower-case letters, digits, "_" and "-"',
  });
}
