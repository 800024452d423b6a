/** Encoders that could have made frames. */
import { MAX_ZSTD_TABLE_LOG, MAX_ZSTD_WINDOW_LOG } from '../../../core/limits.ts';
import type { Frame, ZstdFile } from './decisions.ts';
import { GREEDY, LAZY2, levelParameters, MAX_LEVEL, type Parameters } from './parameters.ts';
import { type Settings, sectioned, unsectioned } from './settings.ts';

/** Content up to this size is not spread over threads. */
const MAX_UNSECTIONED_BYTES = 512 << 10;

/** Settings that fit the first frame with content; one at least. */
export function candidates({ frames }: ZstdFile): Settings[] {
  const frame = frames.find(({ contentSize }) => contentSize > 0) ?? frames[0]!;
  const found: Settings[] = [];
  const seen = new Set<string>();
  for (const parameters of candidateParameters(frame)) {
    const key = JSON.stringify(parameters);
    if (seen.has(key)) continue;
    seen.add(key);
    const settings = frame.contentSize > MAX_UNSECTIONED_BYTES ? sectioned : unsectioned;
    found.push(settings(parameters, false));
    if (parameters.strategy >= GREEDY && parameters.strategy <= LAZY2) found.push(settings(parameters, true));
  }
  return found;
}

function candidateParameters({ windowSize, contentSize, hasContentSize, isSingle }: Frame): Parameters[] {
  const known = hasContentSize ? contentSize : undefined;
  const all = Array.from({ length: MAX_LEVEL }, (_, index) => levelParameters(index + 1, known));
  // The header of a frame that is one segment does not say the window: it covers the content.
  const fitting = all.filter(({ windowLog }) =>
    isSingle ? 2 ** windowLog >= windowSize : 2 ** windowLog === windowSize,
  );
  const log = Math.min(MAX_ZSTD_WINDOW_LOG, Math.max(10, Math.ceil(Math.log2(windowSize))));
  const taken = fitting.length > 0 ? fitting : all.map((parameters) => ({ ...parameters, windowLog: log }));
  return taken.map(limited);
}

/** Tables that a reader would not make are made smaller. */
function limited(parameters: Parameters): Parameters {
  return {
    ...parameters,
    chainLog: Math.min(parameters.chainLog, MAX_ZSTD_TABLE_LOG),
    hashLog: Math.min(parameters.hashLog, MAX_ZSTD_TABLE_LOG),
  };
}
