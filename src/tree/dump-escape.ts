/** How composefs dump text spells bytes: `\\ \n \r \t` and `\xhh` for every byte that is not a printable, visible ASCII character. */
import type { ByteString } from '../core/bytes.ts';

const SHORT: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escapeByte(byte: string): string {
  return SHORT[byte] ?? `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

const HIDDEN = /[^!-[\]-~]/;
const HIDDEN_OR_EQUALS = /[^!-<>-[\]-~]/;
const EVERY_HIDDEN_BUT_SPACE = /[^ -[\]-~]/g;
const EVERY_HIDDEN = new RegExp(HIDDEN, 'g');
const EVERY_HIDDEN_OR_EQUALS = new RegExp(HIDDEN_OR_EQUALS, 'g');

/** A path or other field. */
export function escapeField(bytes: ByteString): string {
  return HIDDEN.test(bytes) ? bytes.replace(EVERY_HIDDEN, escapeByte) : bytes;
}

/** A path in a listing, where spaces stay. */
export function escapePath(path: ByteString): string {
  return path.replace(EVERY_HIDDEN_BUT_SPACE, escapeByte);
}

/** A field that may be left out: `-` stands for that, so a lone dash is escaped. */
export function escapeOptional(bytes: ByteString | undefined): string {
  return bytes === undefined ? '-' : bytes === '-' ? '\\x2d' : escapeField(bytes);
}

/** The key or value of an xattr, where `=` is escaped too. */
export function escapeXattr(bytes: ByteString): string {
  return HIDDEN_OR_EQUALS.test(bytes) ? bytes.replace(EVERY_HIDDEN_OR_EQUALS, escapeByte) : bytes;
}

const LONG: Readonly<Record<string, string>> = { '\\': '\\', n: '\n', r: '\r', t: '\t' };

/**
 * The bytes of an escaped field.
 * @param refuse makes the error for an escape that the format does not have, given the rule it breaks.
 */
export function unescapeField(text: string, refuse: (rule: string) => Error): ByteString {
  let at = text.indexOf('\\');
  if (at < 0) return text;
  const parts: string[] = [];
  let done = 0;
  while (at >= 0) {
    parts.push(text.slice(done, at));
    const kind = text[at + 1];
    if (kind === undefined) throw refuse('escape without a character');
    if (kind === 'x') {
      const digits = text.slice(at + 2, at + 4);
      if (digits.length < 2) throw refuse('cut-off hex escape');
      if (!/^[0-9a-fA-F]{2}$/.test(digits)) throw refuse('hex escape without hex digits');
      parts.push(String.fromCharCode(Number.parseInt(digits, 16)));
      done = at + 4;
    } else {
      const byte = LONG[kind];
      if (byte === undefined) throw refuse('unknown escape');
      parts.push(byte);
      done = at + 2;
    }
    at = text.indexOf('\\', done);
  }
  parts.push(text.slice(done));
  return parts.join('');
}
