/** What becomes of the local changes in /etc when another deployment is booted: lists for people and programs. */
import { type ByteString, toText } from '../../core/bytes.ts';
import type { EtcPolicy } from '../configuration-file.ts';

/** What a change did to a name. */
export type EtcChangeKind = 'added' | 'changed' | 'removed';

/** A local change that stays as it is. */
interface KeptChange {
  /** Absolute: `/etc/ssh/sshd_config`. */
  readonly path: ByteString;
  readonly kind: EtcChangeKind;
}

/** Local and new default go together without loss. */
interface MergedFile {
  readonly path: ByteString;
  /** `content`, `mode`, `owner`, or the name of an extended attribute: what of the new default came in. */
  readonly fields: readonly string[];
}

/** Why a local change is there no more. */
type DropReason =
  /** It is what the new default says, so later defaults come through. */
  | 'equals-new-default'
  /** It is what the old default said: a copy without a change. */
  | 'equals-old-default'
  /** What it took away is in the new default no more, or was never there. */
  | 'nothing-to-remove'
  /** The new default is made from the image's programs, as this file was. */
  | 'generated';

interface DroppedChange {
  readonly path: ByteString;
  readonly reason: DropReason;
}

/** In all cases but the last the local version stays. */
type ConflictReason =
  /** Both changed, and not in different lines of a text. */
  | 'both-changed'
  /** Both have it since, and not the same. */
  | 'both-added'
  /** Changed here; the new default has it no more. */
  | 'removed-by-default'
  /** Removed here; the new default changed it. */
  | 'removed-here'
  /** A directory that was replaced here by another one; the new default changed it. */
  | 'replaced-here'
  /** Mode, owner or extended attributes were changed by both, differently. */
  | 'metadata'
  /** One line of an account file was changed by both; the rest of the file is merged. */
  | 'account'
  /** Two names of an account file have one ID, of which one came with the new default. Both stay. */
  | 'same-id'
  /** A name has another ID in the new default, which is taken; what it owns in /var and elsewhere keeps the old number. */
  | 'renumbered';

export interface EtcConflict {
  readonly path: ByteString;
  readonly reason: ConflictReason;
  /** Which part: name of an account, or fields of the metadata. */
  readonly detail?: ByteString;
  /** Where the new default can be read once the deployment is prepared, when it is a file. */
  readonly newDefault?: string;
}

export interface EtcReport {
  readonly stack: string;
  /** ID of the deployment whose changes are carried over; null for the first one. */
  readonly from: string | null;
  readonly to: string;
  readonly policy: EtcPolicy;
  readonly conflicts: readonly EtcConflict[];
  readonly merged: readonly MergedFile[];
  readonly kept: readonly KeptChange[];
  readonly dropped: readonly DroppedChange[];
}

/** Collects the lists while trees are merged. */
export interface EtcLists {
  readonly conflicts: EtcConflict[];
  readonly merged: MergedFile[];
  readonly kept: KeptChange[];
  readonly dropped: DroppedChange[];
}

export function emptyLists(): EtcLists {
  return { conflicts: [], merged: [], kept: [], dropped: [] };
}

const CONFLICT_TEXT: Readonly<Record<ConflictReason, string>> = {
  'both-changed': 'changed here and by the new default',
  'both-added': 'added here and by the new default',
  'removed-by-default': 'changed here, removed by the new default',
  'removed-here': 'removed here, changed by the new default',
  'replaced-here': 'replaced here by another directory, changed by the new default',
  metadata: 'changed here and by the new default',
  account: 'this account was changed here and by the new default',
  'same-id': 'two accounts with one ID',
  renumbered: 'an account gets another ID; its files in /var and /home keep the old one',
};

const DROP_TEXT: Readonly<Record<DropReason, string>> = {
  'equals-new-default': 'equals the new default',
  'equals-old-default': 'is no change',
  'nothing-to-remove': 'there is nothing to remove',
  generated: 'the new default has it for its own programs',
};

/** The report as lines without newlines, conflicts first. With `verbose` also what stays and what is dropped, by name. */
export function formatEtcReport(report: EtcReport, options: { readonly verbose?: boolean } = {}): string[] {
  if (report.policy === 'volatile') return ['/etc starts from its default: no local change is kept'];
  const { conflicts, merged, kept, dropped } = report;
  const lines: string[] = [];
  if (conflicts.length > 0) lines.push(`conflicts in /etc (the local version stays): ${conflicts.length}`);
  for (const conflict of conflicts) lines.push(...formatEtcConflict(conflict).map((line) => `  ${line}`));
  if (merged.length > 0) lines.push(`merged in /etc: ${merged.length}`);
  for (const { path, fields } of merged) lines.push(`  ${toText(path)}: ${fields.map(toText).join(', ')}`);
  lines.push(`local changes in /etc that stay: ${kept.length}`);
  if (options.verbose) for (const { path, kind } of kept) lines.push(`  ${toText(path)}: ${kind}`);
  if (dropped.length > 0) lines.push(`local changes in /etc that are needed no more: ${dropped.length}`);
  if (options.verbose) for (const { path, reason } of dropped) lines.push(`  ${toText(path)}: ${DROP_TEXT[reason]}`);
  return lines;
}

/** One conflict: a line, and one more where the new default can be read. */
export function formatEtcConflict({ path, reason, detail, newDefault }: EtcConflict): string[] {
  const part = detail === undefined ? '' : ` (${toText(detail)})`;
  const line = `${toText(path)}: ${CONFLICT_TEXT[reason]}${part}`;
  return newDefault === undefined ? [line] : [line, `  new default: ${newDefault}`];
}

export const ETC_SCHEMA = 'osupd-etc/1';

/** The report for JSON: paths and names as text. */
export function plainEtcReport(report: EtcReport): object {
  const readable = <Item extends { readonly path: ByteString }>(items: readonly Item[]) =>
    items.map((item) => ({ ...item, path: toText(item.path) }));
  return {
    schema: ETC_SCHEMA,
    ...report,
    conflicts: readable(report.conflicts).map((item) =>
      item.detail === undefined ? item : { ...item, detail: toText(item.detail) },
    ),
    merged: readable(report.merged).map((item) => ({ ...item, fields: item.fields.map(toText) })),
    kept: readable(report.kept),
    dropped: readable(report.dropped),
  };
}
