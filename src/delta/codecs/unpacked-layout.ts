/** What a record of the codec `unpacked` says beside its content: how bases and members are taken apart, and the recipes. */
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { MAX_UNPACKED_BYTES } from '../../core/limits.ts';
import type { AnyContainer } from '../containers/container.ts';
import { CONTAINERS } from '../containers/containers.ts';
import { damagedDelta, damagedPart } from '../damage.ts';
import { readSigned, writeSigned } from '../signed.ts';
import { sum } from '../total-size.ts';

/** Bytes of a base's content that are left out, and bytes before them that are not. */
export interface Cut {
  readonly gap: number;
  readonly length: number;
}

export interface BaseLayout {
  /** `contained`: it is no base of the content, but a part of it as a whole. */
  readonly form: AnyContainer | 'as it is' | 'contained';
  /** Of its first part; only where it is a streamed container. */
  readonly cuts: readonly Cut[];
}

/** A base that is in the content of a part, and own bytes of the part before it. */
export interface Insert {
  readonly gap: number;
  readonly base: number;
}

export interface PartLayout {
  /** Bytes of it that are in the record's content. */
  readonly own: number;
  readonly inserts: readonly Insert[];
}

export interface MemberLayout {
  /** undefined: it is not taken apart, and one part without inserts. */
  readonly container: AnyContainer | undefined;
  readonly parts: readonly PartLayout[];
  readonly recipe: Uint8Array;
}

export interface Layout {
  readonly bases: readonly BaseLayout[];
  readonly members: readonly MemberLayout[];
}

/** Containers are counted from 2 on. */
const CONTAINED = 0;
const AS_IT_IS = 1;
const FIRST_CONTAINER = 2;

export function formatLayout({ bases, members }: Layout): Uint8Array {
  const out = new ByteWriter();
  const numberOf = (container: AnyContainer) => FIRST_CONTAINER + CONTAINERS.indexOf(container);
  for (const { form, cuts } of bases) {
    out.varint(form === 'contained' ? CONTAINED : form === 'as it is' ? AS_IT_IS : numberOf(form));
    if (typeof form === 'string') continue;
    out.varint(cuts.length);
    for (const { gap, length } of cuts) {
      out.varint(gap);
      out.varint(length);
    }
  }
  for (const { container, parts, recipe } of members) {
    out.varint(container === undefined ? AS_IT_IS : numberOf(container));
    if (container === undefined) continue;
    out.varint(parts.length);
    for (const part of parts) formatPart(part, out);
    out.varint(recipe.length);
    out.bytes(recipe);
  }
  return out.finish();
}

function formatPart({ own, inserts }: PartLayout, out: ByteWriter): void {
  out.varint(own);
  out.varint(inserts.length);
  let expected = 0;
  for (const { gap, base } of inserts) {
    out.varint(gap);
    writeSigned(out, base - expected);
    expected = base + 1;
  }
}

/** @param bases sizes. @param members sizes. @throws OsupdError `damaged-delta` */
export function parseLayout(bytes: Uint8Array, bases: readonly number[], members: readonly number[]): Layout {
  const reader = new ByteReader(bytes, damagedPart('recipes of a record'));
  const layout: Layout = {
    bases: bases.map(() => readBase(reader)),
    members: members.map((size) => readMember(reader, size, bases)),
  };
  if (reader.remaining > 0) throw damagedDelta('bytes follow the recipes of a record');
  const parts = layout.members.flatMap((member) => (member.container === undefined ? [] : member.parts));
  const content = sum(parts.map((part) => partSize(part, bases)));
  if (content > MAX_UNPACKED_BYTES) throw damagedDelta(`a record has ${content} bytes of content`);
  return layout;
}

/** Bytes of a part with what is inserted. */
export function partSize({ own, inserts }: PartLayout, bases: readonly number[]): number {
  return own + sum(inserts.map(({ base }) => bases[base]!));
}

function readBase(reader: ByteReader): BaseLayout {
  const number = reader.varint('the form of a base');
  if (number === CONTAINED) return { form: 'contained', cuts: [] };
  if (number === AS_IT_IS) return { form: 'as it is', cuts: [] };
  const form = containerOf(number);
  const cuts = readList(reader, 'cuts of a base', () => ({
    gap: reader.varint('the place of a cut'),
    length: reader.varint('the size of a cut'),
  }));
  return { form, cuts };
}

function readMember(reader: ByteReader, size: number, bases: readonly number[]): MemberLayout {
  const number = reader.varint('the form of a file');
  if (number === AS_IT_IS)
    return { container: undefined, parts: [{ own: size, inserts: [] }], recipe: new Uint8Array(0) };
  const container = containerOf(number);
  const parts = readList(reader, 'parts', () => readPart(reader, bases));
  return { container, parts, recipe: reader.take(reader.varint('the size of a recipe'), 'a recipe') };
}

function readPart(reader: ByteReader, bases: readonly number[]): PartLayout {
  const own = reader.varint('the size of a part');
  let expected = 0;
  let left = own;
  const inserts = readList(reader, 'bases in a part', () => {
    const gap = reader.varint('the place of a base');
    const base = expected + readSigned(reader, 'a base in a part');
    if (base < 0 || base >= bases.length) throw damagedDelta(`a part has the base ${base} of ${bases.length} in it`);
    left -= gap;
    if (left < 0) throw damagedDelta('a part has less content than places of bases in it');
    expected = base + 1;
    return { gap, base };
  });
  return { own, inserts };
}

/** A list of things of a byte or more. */
function readList<T>(reader: ByteReader, what: string, read: () => T): T[] {
  const count = reader.varint(`the number of ${what}`);
  if (count > reader.remaining) throw damagedDelta(`a record has ${count} ${what}`);
  return Array.from({ length: count }, read);
}

function containerOf(number: number): AnyContainer {
  const container = CONTAINERS[number - FIRST_CONTAINER];
  if (container === undefined) throw damagedDelta(`a record has files of kind ${number} in it`);
  return container;
}
