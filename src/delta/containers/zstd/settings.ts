/** Which encoder made a frame, as far as its emulation must know. */
import type { ByteReader, ByteWriter } from '../../../core/bytes.ts';
import { MAX_ZSTD_TABLE_LOG, MAX_ZSTD_WINDOW_LOG } from '../../../core/limits.ts';
import { damagedDelta } from '../../damage.ts';
import { BTULTRA2, FAST, LAZY2, type Parameters, TREE_LAZY2 } from './parameters.ts';

export interface Settings {
  readonly parameters: Parameters;
  /** Versions 1.5.5 and later. */
  readonly isLater: boolean;
  /** Content is cut into sections of this size, of which each is compressed by itself and knows so much before it; zero: it is not cut. */
  readonly sectionSize: number;
  readonly overlap: number;
}

/** Jobs of several threads are sections of this size or more. */
const MIN_SECTION_LOG = 20;
const MAX_SECTION_LOG = 30;

/** Of the window, sections know all or a half, a quarter, ... before them, by strategy. */
function overlapLog({ strategy, windowLog }: Parameters): number {
  const less = strategy === BTULTRA2 ? 0 : strategy > TREE_LAZY2 ? 1 : strategy >= LAZY2 ? 2 : 3;
  return windowLog - less;
}

/** The settings of an encoder with threads, even if it is one (what the command is), as long as there is more than one section. */
export function sectioned(parameters: Parameters, isLater: boolean): Settings {
  const log = Math.min(Math.max(MIN_SECTION_LOG, parameters.windowLog + 2), MAX_SECTION_LOG);
  return { parameters, isLater, sectionSize: 2 ** log, overlap: 2 ** overlapLog(parameters) };
}

export function unsectioned(parameters: Parameters, isLater: boolean): Settings {
  return { parameters, isLater, sectionSize: 0, overlap: 0 };
}

/** Bits of the first byte. */
const LATER = 1;
const SECTIONED = 2;

export function writeSettings(writer: ByteWriter, { parameters, isLater, sectionSize, overlap }: Settings): void {
  writer.u8((isLater ? LATER : 0) | (sectionSize > 0 ? SECTIONED : 0));
  writer.u8(parameters.strategy);
  writer.u8(parameters.windowLog);
  writer.u8(parameters.chainLog);
  writer.u8(parameters.hashLog);
  writer.u8(parameters.searchLog);
  writer.u8(parameters.minMatch);
  writer.varint(parameters.targetLength);
  if (sectionSize === 0) return;
  writer.u8(Math.log2(sectionSize));
  writer.u8(Math.log2(overlap));
}

const MIN_LOG = 6;
const MAX_SEARCH_LOG = 13;
const MAX_TARGET_LENGTH = 1 << 17;

/** @throws OsupdError `damaged-delta` */
export function readSettings(reader: ByteReader): Settings {
  const between = (value: number, least: number, most: number): number => {
    if (value < least || value > most) throw damagedDelta('settings of a zstd encoder are out of range');
    return value;
  };
  const flags = between(reader.u8('flags'), 0, LATER | SECTIONED);
  const strategy = between(reader.u8('strategy'), FAST, BTULTRA2);
  const windowLog = between(reader.u8('window'), MIN_LOG, MAX_ZSTD_WINDOW_LOG);
  const chainLog = between(reader.u8('chains'), MIN_LOG, MAX_ZSTD_TABLE_LOG);
  const hashLog = between(reader.u8('hashes'), MIN_LOG, MAX_ZSTD_TABLE_LOG);
  const searchLog = between(reader.u8('searches'), 0, MAX_SEARCH_LOG);
  const minMatch = between(reader.u8('least match'), 3, 7);
  const targetLength = between(reader.varint('target length'), 0, MAX_TARGET_LENGTH);
  const parameters = { strategy, windowLog, chainLog, hashLog, searchLog, minMatch, targetLength };
  const isLater = (flags & LATER) !== 0;
  if ((flags & SECTIONED) === 0) return unsectioned(parameters, isLater);
  const sectionSize = 2 ** between(reader.u8('section size'), MIN_SECTION_LOG, MAX_SECTION_LOG);
  const overlap = 2 ** between(reader.u8('overlap'), 0, windowLog);
  return { parameters, isLater, sectionSize, overlap };
}
