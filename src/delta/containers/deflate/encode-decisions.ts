/**
 * What a deflate stream says beyond its content, as corrections of a prediction (docs/formats/deflate-decisions.md).
 *
 * The prediction is a compressor of the zlib family with settings that the encoder has tried. Both sides run it over the
 * content; where the stream went another way, the correction says how, and the prediction goes on from there.
 */
import { chooseCodes, countSymbols } from './block-codes.ts';
import { BlockRule } from './block-rule.ts';
import { type BlockCorrection, type Corrections, formatCorrections } from './corrections.ts';
import type { CodeBits, DeflateBlock, DeflateStream } from './read-stream.ts';
import { SETTINGS_COUNT, settingsOf } from './settings.ts';
import type { Token } from './symbols.ts';
import { TokenPredictor } from './token-predictor.ts';

/** Settings are chosen by the corrections that this much of the content needs. */
const SAMPLE_TOKENS = 8_000;

/** A stream of which more tokens are predicted wrongly comes from another compressor. A short one may have this many. */
const MAX_WRONG_SHARE = 0.2;
const MIN_MOST_COST = 50;

/** Settings in the order in which they are common: of each family level 9 (as packagers use it) and 6 (what nobody changed). */
const PREFERENCE = Array.from({ length: SETTINGS_COUNT }, (_, settings) => settings).sort(
  (a, b) => rank(a) - rank(b) || a - b,
);

function rank(settings: number): number {
  const at = [9, 6].indexOf(settingsOf(settings).level);
  return at < 0 ? 2 : at;
}

/** The stored form of a stream's decisions; undefined for a stream that no settings predict well enough to be worth it. */
export function encodeDecisions(stream: DeflateStream): Uint8Array | undefined {
  const mostCost = Math.max(MIN_MOST_COST, stream.tokens.length * MAX_WRONG_SHARE);
  const usual = PREFERENCE[0] as number;
  const first = correctionsOf(stream, usual, Number.POSITIVE_INFINITY, mostCost);
  if (first !== undefined && costOf(first) === 0) return formatCorrections(first);
  const sampled = PREFERENCE.map((settings) => {
    const corrections = correctionsOf(
      stream,
      settings,
      SAMPLE_TOKENS,
      Math.min(mostCost, SAMPLE_TOKENS * MAX_WRONG_SHARE),
    );
    return { settings, cost: corrections === undefined ? Number.POSITIVE_INFINITY : costOf(corrections) };
  });
  const least = Math.min(...sampled.map(({ cost }) => cost));
  let best = first;
  for (const { settings, cost } of sampled) {
    // The usual ones have been tried on the whole stream.
    if (settings === usual || cost > least || cost === Number.POSITIVE_INFINITY) continue;
    // Settings that differ in the depth of their search only often agree on the first tokens.
    const corrections = correctionsOf(stream, settings, Number.POSITIVE_INFINITY, mostCost);
    if (corrections !== undefined && (best === undefined || costOf(corrections) < costOf(best))) best = corrections;
    if (best !== undefined && costOf(best) === 0) break;
  }
  return best === undefined ? undefined : formatCorrections(best);
}

function costOf({ gaps, blocks }: Corrections): number {
  return gaps.length + blocks.length;
}

/** @param mostTokens a sample ends there. @param mostCost with more corrections the settings are given up. */
function correctionsOf(
  { content, tokens, blocks }: DeflateStream,
  number: number,
  mostTokens: number,
  mostCost: number,
): Corrections | undefined {
  const settings = settingsOf(number);
  const predictor = new TokenPredictor(content, settings);
  const rule = new BlockRule(settings);
  const wrong: BlockCorrection[] = [];
  const gaps: number[] = [];
  const wrongTokens: Token[] = [];
  let right = 0;
  let rightBlocks = 0;
  let start = 0;
  for (const block of blocks) {
    const list = tokens.subarray(block.firstToken, block.firstToken + block.tokens);
    rule.begin();
    let predictedEnd = block.type === 'stored' ? -1 : 0;
    for (let at = 0; at < list.length; at++) {
      const token = list[at] as number;
      if (predictor.predict() === token) right++;
      else {
        gaps.push(right);
        wrongTokens.push(token);
        right = 0;
      }
      predictor.accept(token);
      if (rule.endsAfter(token) && predictedEnd === 0) predictedEnd = at + 1;
      if (gaps.length > mostCost) return undefined;
      if (block.firstToken + at >= mostTokens) return { settings: number, gaps, tokens: wrongTokens, blocks: wrong };
    }
    if (block.type === 'stored') predictor.skip(block.length);
    // The prediction has one block that ends with the content, the first at the latest.
    if (predictedEnd === 0 && start + block.length === content.length && (block.length > 0 || start === 0))
      predictedEnd = list.length;
    else if (list.length === 0) predictedEnd = -1;
    const correction = correctBlock(block, content, start, list, predictedEnd, rightBlocks);
    if (correction === undefined) rightBlocks++;
    else {
      wrong.push(correction);
      rightBlocks = 0;
    }
    start += block.length;
  }
  return { settings: number, gaps, tokens: wrongTokens, blocks: wrong };
}

function correctBlock(
  { type, codes, length }: DeflateBlock,
  content: Uint8Array,
  start: number,
  tokens: Uint32Array,
  predictedEnd: number,
  gap: number,
): BlockCorrection | undefined {
  if (type === 'stored') return { gap, type, size: length, codes };
  const chosen = chooseCodes(countSymbols(tokens, content, start), length);
  const sameCodes = type === 'fixed' || (codes !== undefined && equalBits(codes, chosen.description));
  if (type === chosen.type && sameCodes && predictedEnd === tokens.length) return undefined;
  return { gap, type, size: tokens.length, codes: sameCodes ? undefined : codes };
}

function equalBits(a: CodeBits, b: CodeBits): boolean {
  return a.bits === b.bits && Buffer.compare(a.bytes, b.bytes) === 0;
}
