import { describe, expect, it } from 'vitest';
import { mergeAccounts, renumbered } from '../../../src/deploy/etc/merge-accounts.ts';

const OLD = 'root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\n';
const ALICE = 'alice:x:1000:1000:Alice:/home/alice:/bin/bash\n';
const CHRONY = '_chrony:x:105:110::/var/lib/chrony:/usr/sbin/nologin\n';

describe('account files', () => {
  it('keep local users and take new system users in', () => {
    expect(mergeAccounts('passwd', OLD, OLD + ALICE, OLD + CHRONY)).toEqual({
      text: OLD + CHRONY + ALICE,
      conflicts: [],
      sameIds: [],
    });
  });

  it('merge one line by its fields', () => {
    const local = OLD.replace('/bin/bash', '/bin/zsh');
    const next = OLD.replace(':root:', ':System administrator:');
    const merged = mergeAccounts('passwd', OLD, local, next);
    expect(merged.text).toContain('root:x:0:0:System administrator:/root:/bin/zsh\n');
    expect(merged.conflicts).toEqual([]);
  });

  it('keep the local line where both changed one field, and take the others', () => {
    const local = OLD.replace('/bin/bash', '/bin/zsh');
    const next = OLD.replace('/bin/bash', '/bin/sh') + CHRONY;
    const merged = mergeAccounts('passwd', OLD, local, next);
    expect(merged.conflicts).toEqual(['root']);
    expect(merged.text).toContain('/bin/zsh');
    expect(merged.text).toContain(CHRONY);
  });

  it('drop a user that was removed on either side', () => {
    const old = OLD + CHRONY + ALICE;
    expect(mergeAccounts('passwd', old, OLD + ALICE, old).text).toBe(OLD + ALICE);
    expect(mergeAccounts('passwd', old, old, OLD + ALICE).text).toBe(OLD + ALICE);
    const changed = OLD + CHRONY.replace('nologin', 'bash') + ALICE;
    expect(mergeAccounts('passwd', old, changed, OLD + ALICE)).toMatchObject({
      text: OLD + ALICE + CHRONY.replace('nologin', 'bash'),
      conflicts: ['_chrony'],
    });
  });

  it('list IDs that two names have since the merge', () => {
    const local = `${OLD}printer:x:105:7::/:/bin/false\n`;
    const merged = mergeAccounts('passwd', OLD, local, OLD + CHRONY);
    expect(merged.sameIds).toEqual(['_chrony and printer: 105']);
    expect(merged.text).toContain('printer');
    expect(merged.text).toContain('_chrony');
    // Somebody wanted these two.
    const toor = 'toor:x:0:0::/root:/bin/sh\n';
    expect(mergeAccounts('passwd', OLD, OLD + toor, OLD + CHRONY).sameIds).toEqual([]);
  });

  it('merge members of groups as sets', () => {
    const group = (members: string) => `adm:x:4:${members}\n`;
    expect(mergeAccounts('group', group('syslog'), group('syslog,alice'), group('syslog,_chrony')).text).toBe(
      group('syslog,_chrony,alice'),
    );
    expect(mergeAccounts('group', group('syslog,alice'), group('alice'), group('syslog,alice,bob')).text).toBe(
      group('alice,bob'),
    );
    const gshadow = (admins: string, members: string) => `adm:*:${admins}:${members}\n`;
    expect(mergeAccounts('gshadow', gshadow('', ''), gshadow('alice', ''), gshadow('', 'syslog')).text).toBe(
      gshadow('alice', 'syslog'),
    );
  });

  it('keep a password', () => {
    const shadow = 'root:*:19000:0:99999:7:::\n';
    const local = shadow.replace('*', '$y$secret').replace('19000', '20000');
    const next = `${shadow}_chrony:!:19001::::::\n`;
    expect(mergeAccounts('shadow', shadow, local, next).text).toBe(`${local}_chrony:!:19001::::::\n`);
  });

  it('let a name have several ranges, and list those that overlap', () => {
    const merged = mergeAccounts('subuid', '', 'alice:100000:65536\nalice:300000:10\n', 'builder:165000:65536\n');
    expect(merged.text).toBe('builder:165000:65536\nalice:100000:65536\nalice:300000:10\n');
    expect(merged.sameIds).toEqual(['alice and builder: 165000']);
  });

  it('leave the lines of NIS at the end', () => {
    expect(mergeAccounts('passwd', OLD, `${OLD}+::::::\n`, OLD + CHRONY).text).toBe(`${OLD}${CHRONY}+::::::\n`);
  });

  it('list names that have another ID than before', () => {
    expect(renumbered(OLD + CHRONY, OLD + CHRONY.replace('105', '106') + ALICE)).toEqual(['_chrony: 105 to 106']);
  });
});
