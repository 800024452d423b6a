/** Parameters of zstd's encoder: what decides which matches it finds and takes. The levels are those of versions 1.5.0 to 1.5.7. */
import { MIN_WINDOW_LOG } from './format.ts';

/** Strategies, from the fastest to the strongest. */
export const FAST = 1;
export const DOUBLE_FAST = 2;
export const GREEDY = 3;
export const LAZY = 4;
export const LAZY2 = 5;
export const TREE_LAZY2 = 6;
export const BTULTRA = 8;
export const BTULTRA2 = 9;

export interface Parameters {
  /** Powers of two: window, table of chains (or second table), table of hashes, matches looked at. */
  readonly windowLog: number;
  readonly chainLog: number;
  readonly hashLog: number;
  readonly searchLog: number;
  readonly minMatch: number;
  readonly targetLength: number;
  readonly strategy: number;
}

export const MAX_LEVEL = 22;

/** By size of content, then level from 1 on: in the order of {@link Parameters}. */
const LEVELS: readonly (readonly (readonly number[])[])[] = [
  [
    [19, 13, 14, 1, 7, 0, 1],
    [20, 15, 16, 1, 6, 0, 1],
    [21, 16, 17, 1, 5, 0, 2],
    [21, 18, 18, 1, 5, 0, 2],
    [21, 18, 19, 3, 5, 2, 3],
    [21, 18, 19, 3, 5, 4, 4],
    [21, 19, 20, 4, 5, 8, 4],
    [21, 19, 20, 4, 5, 16, 5],
    [22, 20, 21, 4, 5, 16, 5],
    [22, 21, 22, 5, 5, 16, 5],
    [22, 21, 22, 6, 5, 16, 5],
    [22, 22, 23, 6, 5, 32, 5],
    [22, 22, 22, 4, 5, 32, 6],
    [22, 22, 23, 5, 5, 32, 6],
    [22, 23, 23, 6, 5, 32, 6],
    [22, 22, 22, 5, 5, 48, 7],
    [23, 23, 22, 5, 4, 64, 7],
    [23, 23, 22, 6, 3, 64, 8],
    [23, 24, 22, 7, 3, 256, 9],
    [25, 25, 23, 7, 3, 256, 9],
    [26, 26, 24, 7, 3, 512, 9],
    [27, 27, 25, 9, 3, 999, 9],
  ],
  [
    [18, 13, 14, 1, 6, 0, 1],
    [18, 14, 14, 1, 5, 0, 2],
    [18, 16, 16, 1, 4, 0, 2],
    [18, 16, 17, 3, 5, 2, 3],
    [18, 17, 18, 5, 5, 2, 3],
    [18, 18, 19, 3, 5, 4, 4],
    [18, 18, 19, 4, 4, 4, 4],
    [18, 18, 19, 4, 4, 8, 5],
    [18, 18, 19, 5, 4, 8, 5],
    [18, 18, 19, 6, 4, 8, 5],
    [18, 18, 19, 5, 4, 12, 6],
    [18, 19, 19, 7, 4, 12, 6],
    [18, 18, 19, 4, 4, 16, 7],
    [18, 18, 19, 4, 3, 32, 7],
    [18, 18, 19, 6, 3, 128, 7],
    [18, 19, 19, 6, 3, 128, 8],
    [18, 19, 19, 8, 3, 256, 8],
    [18, 19, 19, 6, 3, 128, 9],
    [18, 19, 19, 8, 3, 256, 9],
    [18, 19, 19, 10, 3, 512, 9],
    [18, 19, 19, 12, 3, 512, 9],
    [18, 19, 19, 13, 3, 999, 9],
  ],
  [
    [17, 12, 13, 1, 6, 0, 1],
    [17, 13, 15, 1, 5, 0, 1],
    [17, 15, 16, 2, 5, 0, 2],
    [17, 17, 17, 2, 4, 0, 2],
    [17, 16, 17, 3, 4, 2, 3],
    [17, 16, 17, 3, 4, 4, 4],
    [17, 16, 17, 3, 4, 8, 5],
    [17, 16, 17, 4, 4, 8, 5],
    [17, 16, 17, 5, 4, 8, 5],
    [17, 16, 17, 6, 4, 8, 5],
    [17, 17, 17, 5, 4, 8, 6],
    [17, 18, 17, 7, 4, 12, 6],
    [17, 18, 17, 3, 4, 12, 7],
    [17, 18, 17, 4, 3, 32, 7],
    [17, 18, 17, 6, 3, 256, 7],
    [17, 18, 17, 6, 3, 128, 8],
    [17, 18, 17, 8, 3, 256, 8],
    [17, 18, 17, 10, 3, 512, 8],
    [17, 18, 17, 5, 3, 256, 9],
    [17, 18, 17, 7, 3, 512, 9],
    [17, 18, 17, 9, 3, 512, 9],
    [17, 18, 17, 11, 3, 999, 9],
  ],
  [
    [14, 14, 15, 1, 5, 0, 1],
    [14, 14, 15, 1, 4, 0, 1],
    [14, 14, 15, 2, 4, 0, 2],
    [14, 14, 14, 4, 4, 2, 3],
    [14, 14, 14, 3, 4, 4, 4],
    [14, 14, 14, 4, 4, 8, 5],
    [14, 14, 14, 6, 4, 8, 5],
    [14, 14, 14, 8, 4, 8, 5],
    [14, 15, 14, 5, 4, 8, 6],
    [14, 15, 14, 9, 4, 8, 6],
    [14, 15, 14, 3, 4, 12, 7],
    [14, 15, 14, 4, 3, 24, 7],
    [14, 15, 14, 5, 3, 32, 8],
    [14, 15, 15, 6, 3, 64, 8],
    [14, 15, 15, 7, 3, 256, 8],
    [14, 15, 15, 5, 3, 48, 9],
    [14, 15, 15, 6, 3, 128, 9],
    [14, 15, 15, 7, 3, 256, 9],
    [14, 15, 15, 8, 3, 256, 9],
    [14, 15, 15, 8, 3, 512, 9],
    [14, 15, 15, 9, 3, 512, 9],
    [14, 15, 15, 10, 3, 999, 9],
  ],
];

/** Content up to so many bytes has the second, third, fourth table of levels. */
const SMALLER_CONTENT = [256 << 10, 128 << 10, 16 << 10];

/** Tables are never made smaller than this for small content. */
const MIN_CONTENT_LOG = 6;

/** The parameters of a level for content of a size that the encoder knows, or does not. */
export function levelParameters(level: number, contentSize: number | undefined): Parameters {
  const table = contentSize === undefined ? 0 : SMALLER_CONTENT.filter((size) => contentSize <= size).length;
  const row = LEVELS[table]![level - 1]!;
  let [windowLog, chainLog, hashLog] = row as [number, number, number];
  const [, , , searchLog, minMatch, targetLength, strategy] = row as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (contentSize !== undefined) {
    windowLog = Math.min(windowLog, Math.max(MIN_CONTENT_LOG, Math.ceil(Math.log2(Math.max(1, contentSize)))));
    hashLog = Math.min(hashLog, windowLog + 1);
    const cycleLog = strategy >= TREE_LAZY2 ? chainLog - 1 : chainLog;
    if (cycleLog > windowLog) chainLog -= cycleLog - windowLog;
    windowLog = Math.max(windowLog, MIN_WINDOW_LOG);
  }
  return { windowLog, chainLog, hashLog, searchLog, minMatch, targetLength, strategy };
}

/** Smaller windows are searched by chains: rows do not pay there. */
const MIN_ROWS_WINDOW_LOG = 15;

/** Whether matches are looked for in rows of hashes: in 1.5.0 and later, where the processor compares sixteen bytes at once. */
export function usesRows({ strategy, windowLog }: Parameters): boolean {
  return strategy >= GREEDY && strategy <= LAZY2 && windowLog >= MIN_ROWS_WINDOW_LOG;
}

/** Bytes that a compressed form must win over a plain one. */
export function minGain(size: number, strategy: number): number {
  return (size >> (strategy >= BTULTRA ? strategy - 1 : 6)) + 2;
}

/** Powers of two of the places after which tables of chains and trees are used anew. */
export function cycleLog({ strategy, chainLog }: Parameters): number {
  return strategy >= TREE_LAZY2 ? chainLog - 1 : chainLog;
}

/** Whether literals are coded at all: not where speed is everything. */
export function codesLiterals({ strategy, targetLength }: Parameters): boolean {
  return strategy !== FAST || targetLength === 0;
}
