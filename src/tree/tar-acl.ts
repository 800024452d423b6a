/**
 * POSIX ACLs: from the text that star and GNU tar (`--acls`) put in archives to the value of the xattrs
 * `system.posix_acl_access` and `system.posix_acl_default`. Pure.
 *
 * Linux include/uapi/linux/posix_acl_xattr.h: a 32-bit version 2, then for each entry a 16-bit tag, 16-bit permissions and
 * a 32-bit id, all little-endian, sorted by tag and id.
 */
import { type ByteString, toText } from '../core/bytes.ts';
import type { Refuse } from './tar-header.ts';

const VERSION = 2;
const NO_ID = 0xffffffff;

/** Tags of the entries without and with a qualifier (`user:` and `user:1000:`). */
const TAGS: Readonly<Record<string, { own: number; named?: number }>> = {
  user: { own: 0x01, named: 0x02 },
  group: { own: 0x04, named: 0x08 },
  mask: { own: 0x10 },
  other: { own: 0x20 },
};

/**
 * The value of the xattr; undefined for an ACL that says no more than the mode of the file, for which no xattr is kept.
 * Users and groups must be given by number, as the qualifier or, as star does, in a fourth field.
 */
export function parseAclText(text: ByteString, refuse: Refuse): Uint8Array | undefined {
  const entries = text
    .split(/[\n,]/)
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => parseEntry(line, refuse));
  // `user::`, `group::` and `other::` are the mode.
  if (entries.length <= 3) return undefined;
  entries.sort((a, b) => a.tag - b.tag || a.id - b.id);
  const value = Buffer.alloc(4 + 8 * entries.length);
  value.writeUInt32LE(VERSION, 0);
  for (const [index, { tag, permissions, id }] of entries.entries()) {
    value.writeUInt16LE(tag, 4 + 8 * index);
    value.writeUInt16LE(permissions, 6 + 8 * index);
    value.writeUInt32LE(id, 8 + 8 * index);
  }
  return value;
}

function parseEntry(line: ByteString, refuse: Refuse) {
  const [kind = '', qualifier = '', letters = '', number = ''] = line.split(':');
  const tags = TAGS[kind];
  if (tags === undefined || !/^[r-][w-][x-]$/.test(letters)) throw refuse(`an ACL is malformed: ${toText(line)}`);
  const permissions = (letters[0] === 'r' ? 4 : 0) + (letters[1] === 'w' ? 2 : 0) + (letters[2] === 'x' ? 1 : 0);
  if (qualifier === '') return { tag: tags.own, permissions, id: NO_ID };
  const id = /^\d{1,10}$/.exec(number === '' ? qualifier : number)?.[0];
  if (tags.named === undefined || id === undefined)
    throw refuse(
      `an ACL names the ${kind} ${toText(qualifier)} without a number (make the archive with --xattrs-include=*)`,
    );
  return { tag: tags.named, permissions, id: Number(id) };
}
