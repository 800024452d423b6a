/** What a delta is made of, for people who want to know where its bytes are. */
import { toText } from '../core/bytes.ts';
import { contentSize, type Group } from './groups.ts';
import type { DeltaRecord } from './header.ts';
import type { Kind } from './kinds.ts';

/** Bytes before and after encoding. */
export interface Share {
  records: number;
  objects: number;
  raw: number;
  stored: number;
}

/** A share with its stored bytes by codec. */
export interface KindShare extends Share {
  readonly codecs: Record<string, number>;
}

export interface Contributor {
  /** The record's first object's name, as text. */
  readonly path: string;
  readonly kind: Kind;
  readonly codec: string;
  readonly objects: number;
  readonly raw: number;
  readonly stored: number;
}

export interface DeltaSummary {
  /** Bytes of the whole delta. */
  readonly size: number;
  /** Prologue, header and image section: what a signed index vouches for. */
  readonly head: { readonly size: number; readonly sha256: string };
  /** Bytes of the image section. */
  readonly imageBytes: number;
  readonly records: number;
  readonly objects: { readonly count: number; readonly bytes: number };
  readonly byCodec: Readonly<Record<string, Share>>;
  readonly byKind: Readonly<Record<string, KindShare>>;
  /** The records with the most bytes, the largest first. */
  readonly largest: readonly Contributor[];
}

const LARGEST = 10;

/** The part of a summary that follows from the records. */
export function summarizeRecords(
  groups: readonly Group[],
  records: readonly DeltaRecord[],
): Pick<DeltaSummary, 'records' | 'objects' | 'byCodec' | 'byKind' | 'largest'> {
  const byCodec: Record<string, Share> = {};
  const byKind: Record<string, KindShare> = {};
  const contributors = groups.map((group, index): Contributor => {
    const { kind, members } = group;
    const { codec, stored } = records[index]!;
    const raw = contentSize(group);
    byCodec[codec] ??= emptyShare();
    byKind[kind] ??= { ...emptyShare(), codecs: {} };
    const { codecs } = byKind[kind];
    codecs[codec] = (codecs[codec] ?? 0) + stored;
    for (const share of [byCodec[codec], byKind[kind]]) {
      share.records++;
      share.objects += members.length;
      share.raw += raw;
      share.stored += stored;
    }
    return { path: toText(members[0]!.object.path), kind, codec, objects: members.length, raw, stored };
  });
  return {
    records: records.length,
    objects: {
      count: contributors.reduce((sum, { objects }) => sum + objects, 0),
      bytes: contributors.reduce((sum, { raw }) => sum + raw, 0),
    },
    byCodec,
    byKind,
    largest: contributors.sort((a, b) => b.stored - a.stored).slice(0, LARGEST),
  };
}

function emptyShare(): Share {
  return { records: 0, objects: 0, raw: 0, stored: 0 };
}
