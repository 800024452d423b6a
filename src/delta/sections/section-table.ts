/** Costs of sections as text. */
import { type SectionCost, storedBytes } from './section-costs.ts';

/** Sections of one kind of file that are shown one by one. */
const SHOWN = 20;

const COLUMNS = ['stored', 'residual', 'literals', 'control', 'plans', 'content', 'differing', 'new'] as const;

/** Lines without newlines: for each kind of file its sections, the largest first, then their sum. */
export function* formatSections(costs: readonly SectionCost[]): Generator<string> {
  const kinds = [...Map.groupBy(costs, ({ kind }) => kind)];
  kinds.sort(([, a], [, b]) => sumOf(b, storedBytes) - sumOf(a, storedBytes));
  for (const [kind, list] of kinds) {
    yield `${kind.padEnd(32)}${COLUMNS.map((name) => name.padStart(12)).join('')}`;
    for (const cost of list.slice(0, SHOWN)) yield formatRow(cost.section, [cost]);
    if (list.length > SHOWN) yield formatRow(`${list.length - SHOWN} others`, list.slice(SHOWN));
    yield formatRow('all', list);
    yield '';
  }
  yield formatRow('all kinds', costs);
}

function formatRow(name: string, costs: readonly SectionCost[]): string {
  const numbers = [
    sumOf(costs, storedBytes),
    sumOf(costs, ({ stored }) => stored.residual),
    sumOf(costs, ({ stored }) => stored.literal),
    sumOf(costs, ({ stored }) => stored.control),
    sumOf(costs, ({ stored }) => stored.plan),
    sumOf(costs, ({ copied, literal }) => copied + literal),
    sumOf(costs, ({ differing }) => differing),
    sumOf(costs, ({ literal }) => literal),
  ];
  return `  ${name.padEnd(30)}${numbers.map((value) => String(Math.round(value)).padStart(12)).join('')}`;
}

function sumOf(costs: readonly SectionCost[], value: (cost: SectionCost) => number): number {
  return costs.reduce((sum, cost) => sum + value(cost), 0);
}
