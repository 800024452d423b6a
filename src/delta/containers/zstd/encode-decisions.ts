/** Codes what must be known beside the content to write zstd frames again. */
import { ByteWriter } from '../../../core/bytes.ts';
import { OsupdError } from '../../../core/errors.ts';
import { RangeEncoder } from '../../coding/range-coder.ts';
import { notZstd } from './bits.ts';
import { candidates } from './candidates.ts';
import { DecisionModels } from './decision-models.ts';
import type { ZstdFile } from './decisions.ts';
import { MAX_BLOCK_BYTES } from './format.ts';
import { FrameCoder } from './frame-coder.ts';
import { type Settings, unsectioned, writeSettings } from './settings.ts';

/** Content by which candidates are compared: first little, then more for those that are as good. */
const FIRST_SAMPLE = MAX_BLOCK_BYTES;
const LAST_SAMPLE = 8 << 20;
const SAMPLE_GROWTH = 4;

/** So many sequences that are not as foretold, and an eighth more than with the best, are looked at before a candidate is out. */
const TOLERATED_MISSES = 16;
const FIRST_MISSES = 4000;

/** The settings that foretell the most, for content that is not cut into sections as far as is looked. */
function bestSettings(file: ZstdFile): Settings {
  let left = candidates(file);
  for (let sample = FIRST_SAMPLE; left.length > 1 && sample <= LAST_SAMPLE; sample *= SAMPLE_GROWTH) {
    const tried: { settings: Settings; missed: number }[] = [];
    let best = FIRST_MISSES;
    let strongest = Number.POSITIVE_INFINITY;
    for (const settings of left) {
      const { strategy } = settings.parameters;
      // Stronger strategies take their time, and cannot be better.
      if (strategy > strongest) break;
      const missed = codeWith(file, settings, sample, limitBy(best))?.missed;
      if (missed === undefined) continue;
      best = Math.min(best, missed);
      if (missed === 0) strongest = strategy;
      tried.push({ settings, missed });
    }
    const limit = best === 0 ? 0 : limitBy(best);
    const kept = tried.filter(({ missed }) => missed <= limit).map(({ settings }) => settings);
    if (kept.length === 0) break;
    left = kept;
    if (sample >= file.content.length) break;
  }
  return left[0]!;
}

function limitBy(best: number): number {
  return best + (best >> 3) + TOLERATED_MISSES;
}

/**
 * The coded decisions of frames; undefined where writing them again does not give the same bytes: an unusual encoder made them.
 */
export function encodeDecisions(file: ZstdFile): Uint8Array | undefined {
  try {
    const settings = bestSettings(file);
    const first = codeWith(file, settings, file.content.length);
    // Encoders with and without threads differ from the second section on.
    if (first?.missed === 0 || settings.sectionSize === 0 || file.content.length <= settings.sectionSize)
      return first?.coded;
    const other = codeWith(file, unsectioned(settings.parameters, settings.isLater), file.content.length);
    if (first === undefined || other === undefined) return (first ?? other)?.coded;
    return other.coded.length < first.coded.length ? other.coded : first.coded;
  } catch (error) {
    // What cannot be written again is left to other codecs.
    if (error instanceof OsupdError && error.code === 'unsupported') return undefined;
    throw error;
  }
}

interface Coded {
  readonly coded: Uint8Array;
  /** Sequences that were not as foretold. */
  readonly missed: number;
}

/**
 * Codes with these settings, up to `sample` bytes of the content; undefined where more sequences than the limit are not as foretold, or
 * cannot be those of such an encoder.
 * @throws OsupdError `unsupported` where other bytes come out.
 */
function codeWith(
  file: ZstdFile,
  settings: Settings,
  sample: number,
  missLimit = Number.POSITIVE_INFINITY,
): Coded | undefined {
  const { bytes, content } = file;
  const writer = new ByteWriter();
  writeSettings(writer, settings);
  writer.varint(content.length);
  const encoder = new RangeEncoder();
  let written = 0;
  const compare = (part: Uint8Array): void => {
    for (let at = 0; at < part.length; at++)
      if (part[at] !== bytes[written + at]) throw notZstd('an encoder that writes otherwise');
    written += part.length;
  };
  const coder = new FrameCoder(new DecisionModels(encoder), settings, content.length, compare, file);
  const end = Math.min(sample, content.length);
  try {
    for (let at = 0; at < end || at === 0; at += MAX_BLOCK_BYTES) {
      coder.append(content.subarray(at, Math.min(at + MAX_BLOCK_BYTES, end)));
      if (coder.missed > missLimit) return undefined;
    }
  } catch (error) {
    // What a reader with these settings would call damaged, another encoder made.
    if (error instanceof OsupdError && error.code === 'damaged-delta') return undefined;
    throw error;
  }
  writer.bytes(encoder.finish());
  return { coded: writer.finish(), missed: coder.missed };
}
