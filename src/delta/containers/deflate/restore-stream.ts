/** Writes a deflate stream again from its content and the corrections of what a compressor of the zlib family would decide. */
import { damagedDelta } from '../../damage.ts';
import { BitReader } from './bit-reader.ts';
import { BitWriter } from './bit-writer.ts';
import { type ChosenCodes, chooseCodes, countSymbols } from './block-codes.ts';
import { BlockRule } from './block-rule.ts';
import { type BlockCorrection, type Corrections, parseCorrections } from './corrections.ts';
import { readCodes } from './read-stream.ts';
import { type Settings, settingsOf } from './settings.ts';
import { LITERAL, type Token, tokenDistance, tokenLength } from './symbols.ts';
import { TokenList } from './token-list.ts';
import { TokenPredictor } from './token-predictor.ts';
import { type BlockTokens, writeDynamicBlock, writeFixedBlock, writeStoredBlock } from './write-block.ts';

/** Bytes that a stored block can have. */
const MAX_STORED_BYTES = 0xffff;

/**
 * The bytes of the stream, block by block.
 * @param decisions as `encodeDecisions` gave them.
 * @throws OsupdError `damaged-delta` for decisions that do not fit the content.
 */
export function* restoreStream(content: Uint8Array, decisions: Uint8Array): Generator<Uint8Array> {
  const corrections = parseCorrections(decisions);
  const settings = settingsOf(corrections.settings);
  const tokens = new TokenSource(content, settings, corrections);
  const rule = new BlockRule(settings);
  const out = new BitWriter();
  const blocks = new BlockQueue(corrections.blocks);
  for (let first = true; first || tokens.position < content.length || blocks.waits; first = false) {
    const correction = blocks.next();
    const start = tokens.position;
    if (correction?.type === 'stored') {
      const { size } = correction;
      if (size > MAX_STORED_BYTES || size > content.length - start)
        throw damagedDelta(`a deflate stream stores ${size} bytes in a block`);
      tokens.skip(size);
      writeStoredBlock(out, content.subarray(start, start + size), isLast(tokens, blocks));
    } else {
      const list = takeBlock(tokens, rule, correction?.size);
      writeBlock(out, { content, start, tokens: list }, tokens.position, correction, isLast(tokens, blocks));
    }
    yield out.takeBytes();
  }
  tokens.finish();
  out.align();
  yield out.takeBytes();
}

function isLast({ atEnd }: TokenSource, blocks: BlockQueue): boolean {
  return atEnd && !blocks.waits;
}

function takeBlock(tokens: TokenSource, rule: BlockRule, size: number | undefined): Uint32Array {
  const list = new TokenList();
  rule.begin();
  while (size === undefined ? !tokens.atEnd : list.length < size) {
    if (tokens.atEnd) throw damagedDelta('a deflate stream has more tokens than content');
    const token = tokens.next();
    list.push(token);
    if (rule.endsAfter(token) && size === undefined) break;
  }
  return list.toArray();
}

function writeBlock(
  out: BitWriter,
  block: BlockTokens,
  end: number,
  correction: BlockCorrection | undefined,
  last: boolean,
): void {
  const length = end - block.start;
  const type = correction?.type;
  if (type === 'fixed') {
    writeFixedBlock(out, block, last);
    return;
  }
  if (correction?.codes !== undefined) {
    const codes = readCodes(new BitReader(correction.codes.bytes));
    if (codes === undefined || !writeDynamicBlock(out, block, codes, correction.codes, last))
      throw damagedDelta('the codes of a block of a deflate stream do not fit its tokens');
    return;
  }
  const chosen: ChosenCodes = chooseCodes(countSymbols(block.tokens, block.content, block.start), length);
  if ((type ?? chosen.type) === 'dynamic') writeDynamicBlock(out, block, chosen.codes, chosen.description, last);
  else if (chosen.type === 'fixed') writeFixedBlock(out, block, last);
  else throw damagedDelta('a block of a deflate stream is predicted to be stored, and is not said to be');
}

/** The tokens of a stream in order: those predicted, but for the corrections. */
class TokenSource {
  position = 0;
  readonly #length: number;
  readonly #predictor: TokenPredictor;
  readonly #corrections: Corrections;
  /** The next correction, and how many tokens before it are right. */
  #index = 0;
  #right: number;

  constructor(content: Uint8Array, settings: Settings, corrections: Corrections) {
    this.#length = content.length;
    this.#predictor = new TokenPredictor(content, settings);
    this.#corrections = corrections;
    this.#right = corrections.gaps[0] ?? -1;
  }

  get atEnd(): boolean {
    return this.position === this.#length;
  }

  next(): Token {
    let token = this.#predictor.predict();
    if (this.#right === 0) {
      token = this.#corrections.tokens[this.#index] as Token;
      this.#index++;
      this.#right = this.#corrections.gaps[this.#index] ?? -1;
    } else this.#right--;
    const length = tokenLength(token);
    if (length > this.#length - this.position || (token !== LITERAL && tokenDistance(token) > this.position))
      throw damagedDelta('a token of a deflate stream leaves its content');
    this.#predictor.accept(token);
    this.position += length;
    return token;
  }

  skip(length: number): void {
    this.#predictor.skip(length);
    this.position += length;
  }

  /** @throws OsupdError when corrections are left over. */
  finish(): void {
    if (this.#index < this.#corrections.tokens.length)
      throw damagedDelta('a deflate stream has corrections behind its end');
  }
}

/** The corrections of blocks, as their turn comes. */
class BlockQueue {
  readonly #corrections: readonly BlockCorrection[];
  #index = 0;
  #right: number;

  constructor(corrections: readonly BlockCorrection[]) {
    this.#corrections = corrections;
    this.#right = corrections[0]?.gap ?? -1;
  }

  /** Whether a correction says that there is another block, though the content has ended. */
  get waits(): boolean {
    return this.#right === 0;
  }

  next(): BlockCorrection | undefined {
    if (this.#right !== 0) {
      this.#right--;
      return undefined;
    }
    const correction = this.#corrections[this.#index++];
    this.#right = this.#corrections[this.#index]?.gap ?? -1;
    return correction;
  }
}
