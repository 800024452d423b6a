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

/** Candidates that need so many bytes more than the best are out, or so many sixteenths more. */
const TOLERATED_BYTES = 8;

/** What an encoder comes to that is emulated exactly: settings, a frame's header, next to nothing for a block. */
const EXACT_BYTES = 40;

/** The settings that come to the fewest bytes, for content that is not cut into sections as far as is looked. */
function bestSettings(file: ZstdFile): Settings {
  let left = candidates(file);
  for (let sample = FIRST_SAMPLE; left.length > 1 && sample <= LAST_SAMPLE; sample *= SAMPLE_GROWTH) {
    const costs: { settings: Settings; cost: number }[] = [];
    let exact: number | undefined;
    for (const settings of left) {
      const { strategy } = settings.parameters;
      // Stronger strategies take their time, and cannot be better.
      if (exact !== undefined && strategy > exact) break;
      const cost = codeWith(file, settings, sample).length;
      if (cost <= EXACT_BYTES) exact = strategy;
      costs.push({ settings, cost });
    }
    const best = Math.min(...costs.map(({ cost }) => cost));
    left = costs.filter(({ cost }) => cost <= best + TOLERATED_BYTES + best / 16).map(({ settings }) => settings);
    if (sample >= file.content.length) break;
  }
  return left[0]!;
}

/**
 * The coded decisions of frames; undefined where writing them again does not give the same bytes: an unusual encoder made them.
 */
export function encodeDecisions(file: ZstdFile): Uint8Array | undefined {
  try {
    const settings = bestSettings(file);
    const coded = codeWith(file, settings, file.content.length);
    // Two encoders differ from the second section on: with threads, and without.
    if (settings.sectionSize === 0 || file.content.length <= settings.sectionSize) return coded;
    if (coded.length < TOLERATED_BYTES * (file.frames.length + 16)) return coded;
    const other = codeWith(file, unsectioned(settings.parameters, settings.isLater), file.content.length);
    return other.length < coded.length ? other : coded;
  } catch (error) {
    // What cannot be written again is left to other codecs.
    if (error instanceof OsupdError && error.code === 'unsupported') return undefined;
    throw error;
  }
}

/** Codes with these settings, up to `sample` bytes of the content. @throws OsupdError `unsupported` where other bytes come out. */
export function codeWith(file: ZstdFile, settings: Settings, sample: number): Uint8Array {
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
  for (let at = 0; at < end || at === 0; at += MAX_BLOCK_BYTES)
    coder.append(content.subarray(at, Math.min(at + MAX_BLOCK_BYTES, end)));
  writer.bytes(encoder.finish());
  return writer.finish();
}
