/** The emulation of an encoder that settings call for. */
import { LazyPredictor } from './lazy-predictor.ts';
import { GREEDY, LAZY2, usesRows } from './parameters.ts';
import { RowFinder } from './row-finder.ts';
import type { SequencePredictor } from './sequence-predictor.ts';
import type { Settings } from './settings.ts';

export function predictorFor({ parameters, isLater }: Settings): SequencePredictor {
  const { strategy, windowLog } = parameters;
  const windowSize = 2 ** windowLog;
  if (strategy >= GREEDY && strategy <= LAZY2 && usesRows(parameters)) {
    const finder = new RowFinder(parameters, { sparesFirst: isLater });
    return new LazyPredictor(finder, { depth: strategy - GREEDY, windowSize, skips: isLater });
  }
  return new NoPredictor();
}

/** Foretells nothing. */
class NoPredictor implements SequencePredictor {
  literalLength = 0;
  matchLength = 0;
  offset = 0;
  load(): void {}
  startBlock(): void {}
  next(): boolean {
    return false;
  }
  correct(): void {}
  move(): void {}
}
