/**
 * Extended headers of a tar: records `LENGTH KEY=VALUE\n`, and what the keys mean for an entry. Pure.
 *
 * POSIX.1-2024 pax, "pax Extended Header"; the keys of extended attributes are those of star and GNU tar (`SCHILY.xattr.`,
 * `SCHILY.acl.`, `RHT.security.selinux`) and of libarchive (`LIBARCHIVE.xattr.`). Keys and values are byte strings:
 * nothing is taken for UTF-8, so names in any encoding (`hdrcharset=BINARY` too) keep their bytes.
 */
import { type ByteString, fromBytes, toBytes, toText } from '../core/bytes.ts';
import { MAX_TAR_RECORDS } from '../core/limits.ts';
import { parseAclText } from './tar-acl.ts';
import type { Refuse } from './tar-header.ts';
import type { Time } from './tree.ts';

export type PaxRecords = Map<ByteString, ByteString>;

/** Keys of sparse files in the form 0.0, which come once for each piece: all their values, joined by commas. */
const REPEATED = new Set(['GNU.sparse.offset', 'GNU.sparse.numbytes']);

/** Adds the records of one extended header to `records`; later ones win. An empty value is kept: it takes back a global one. */
export function parsePaxRecords(bytes: Uint8Array, records: PaxRecords, refuse: Refuse): void {
  const text = fromBytes(bytes);
  for (let at = 0; at < text.length; ) {
    // Some writers fill the header with NULs to its end.
    if (text[at] === '\0' && /^\0*$/.test(text.slice(at))) return;
    const digits = /^([1-9]\d{0,9}) /.exec(text.slice(at, at + 11))?.[1];
    const end = at + Number(digits);
    if (digits === undefined || end > text.length || text[end - 1] !== '\n')
      throw refuse('an extended header has a record whose length is not right');
    const record = text.slice(at + digits.length + 1, end - 1);
    const equals = record.indexOf('=');
    if (equals < 1) throw refuse('an extended header has a record without a key');
    const key = record.slice(0, equals);
    if (key.includes('\0')) throw refuse('an extended header has a NUL in a key');
    const value = record.slice(equals + 1);
    const before = REPEATED.has(key) ? records.get(key) : undefined;
    records.set(key, before ? `${before},${value}` : value);
    if (records.size > MAX_TAR_RECORDS) throw refuse(`extended headers have more than ${MAX_TAR_RECORDS} records`);
    at = end;
  }
}

/** The value of a record that says something; an empty one says that the header's own field counts. */
export function paxText(records: PaxRecords, key: string, refuse: Refuse): ByteString | undefined {
  const value = records.get(key);
  if (value === undefined || value === '') return undefined;
  if (value.includes('\0')) throw refuse(`an extended header has a NUL in its ${key}`);
  return value;
}

/** A record with a non-negative whole number. */
export function paxNumber(records: PaxRecords, key: string, refuse: Refuse): number | undefined {
  const text = paxText(records, key, refuse);
  if (text === undefined) return undefined;
  const value = /^0*\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value))
    throw refuse(`the ${key} in an extended header is not a number that a file can have: ${toText(text.slice(0, 40))}`);
  return value;
}

/** A record with seconds since the epoch, with a fraction and a sign perhaps; what is below a nanosecond is cut off. */
export function paxTime(records: PaxRecords, key: string, refuse: Refuse): Time | undefined {
  const text = paxText(records, key, refuse);
  if (text === undefined) return undefined;
  const match = /^(-?)(\d{1,18})(?:\.(\d*))?$/.exec(text);
  if (match === null) throw refuse(`the ${key} in an extended header is not a time: ${toText(text.slice(0, 40))}`);
  const [, sign, whole = '', fraction = ''] = match;
  const seconds = BigInt(whole);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign === '') return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: -seconds, nanoseconds }
    : { seconds: -seconds - 1n, nanoseconds: 1_000_000_000 - nanoseconds };
}

/** All extended attributes that the records give, ACLs as the kernel stores them. What names an attribute directly wins. */
export function paxXattrs(records: PaxRecords, refuse: Refuse): Map<ByteString, Uint8Array> {
  const xattrs = new Map<ByteString, Uint8Array>();
  for (const [key, value] of records) {
    if (key.startsWith('LIBARCHIVE.xattr.')) xattrs.set(decodeUrl(key.slice(17)), Buffer.from(value, 'base64'));
    else if (key === 'RHT.security.selinux') xattrs.set('security.selinux', toBytes(`${value}\0`));
    else if (key === 'SCHILY.acl.access' || key === 'SCHILY.acl.default') {
      const acl = parseAclText(value, refuse);
      if (acl !== undefined) xattrs.set(`system.posix_acl_${key.slice(11)}`, acl);
    }
  }
  for (const [key, value] of records)
    if (key.startsWith('SCHILY.xattr.')) xattrs.set(decodeGnuName(key.slice(13)), toBytes(value));
  return xattrs;
}

/** libarchive writes attribute names as URLs do. */
function decodeUrl(name: ByteString): ByteString {
  return name.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

/** GNU tar hides the two characters that a record's key cannot have. */
function decodeGnuName(name: ByteString): ByteString {
  return name.replace(/%(3D|25)/g, (_, digits: string) => (digits === '3D' ? '=' : '%'));
}
