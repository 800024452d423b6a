/** The emulation of an encoder that settings call for. */
import { ChainFinder } from './chain-finder.ts';
import { DoubleFastPredictor } from './double-fast-predictor.ts';
import { FastPredictor } from './fast-predictor.ts';
import { LazyPredictor } from './lazy-predictor.ts';
import type { MatchFinder } from './match-finder.ts';
import { OptimalPredictor } from './optimal-predictor.ts';
import { codesLiterals, DOUBLE_FAST, FAST, GREEDY, LAZY2, TREE_LAZY2, usesRows } from './parameters.ts';
import { RowFinder } from './row-finder.ts';
import type { SequencePredictor } from './sequence-predictor.ts';
import type { Settings } from './settings.ts';
import { TreeFinder } from './tree-finder.ts';

export function predictorFor(settings: Settings): SequencePredictor {
  const { parameters, isLater } = settings;
  const { strategy, windowLog } = parameters;
  if (strategy === FAST) return new FastPredictor(parameters);
  if (strategy === DOUBLE_FAST) return new DoubleFastPredictor(parameters);
  if (strategy > TREE_LAZY2) return new OptimalPredictor(parameters, codesLiterals(parameters));
  const depth = Math.min(strategy, LAZY2) - GREEDY;
  return new LazyPredictor(finderFor(settings), { depth, windowSize: 2 ** windowLog, skips: isLater });
}

function finderFor({ parameters, isLater }: Settings): MatchFinder {
  if (parameters.strategy === TREE_LAZY2) return new TreeFinder(parameters);
  return usesRows(parameters) ? new RowFinder(parameters, { sparesFirst: isLater }) : new ChainFinder(parameters);
}
