/** The results as Markdown. */
import type { Usage } from './measure.ts';
import type { Pair, Peer } from './peer.ts';
import type { Result } from './results.ts';

export interface Measurements {
  readonly pair: Pair;
  /** In the order of the list of peers. */
  readonly results: readonly Result[];
}

/** Cores that other work may keep busy in a measurement whose times are good. */
const QUIET = 0.15;

/** From so many on a time on the clock says nothing of the program. */
const BUSY = 0.5;

/** @param reference name of the peer to whose times others are compared. */
export function formatTables(all: readonly Measurements[], peers: readonly Peer[], reference: string): string {
  const results = all.flatMap((measurements) => measurements.results);
  if (results.length === 0) return 'Nothing has been measured.\n';
  const dates = results.map(({ date }) => date.slice(0, 10)).sort();
  const versions = new Map(results.flatMap((result) => Object.entries(result.versions)).sort());
  const used = peers.filter(({ name }) => results.some(({ peer }) => peer === name));
  return [
    `Measured ${dates[0]}${dates[0] === dates.at(-1) ? '' : ` to ${dates.at(-1)}`} on ${results[0]?.machine}.`,
    ...all.flatMap((measurements) => ['', ...formatPair(measurements, reference)]),
    '',
    '## What was run',
    ...used.map(({ name, description }) => `- **${name}**: ${description}`),
    '',
    `Versions: ${[...versions].map(([name, version]) => `${name} ${version}`).join(', ')}.`,
    '',
  ].join('\n');
}

function* formatPair({ pair, results }: Measurements, reference: string): Generator<string> {
  const base = results.find(({ peer }) => peer === reference);
  yield `## ${pair.old.name} → ${pair.next.name}`;
  yield '';
  if (base !== undefined)
    yield `${reference}: ${describe(base.generation)} to generate, ${describe(base.application)} to apply. Times are ratios to these.`;
  else yield `Times in seconds.`;
  yield '';
  yield '| | bytes | ratio | generation: time | CPU | memory | applying: time | CPU | memory | other load |';
  yield '| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |';
  for (const result of [...results].sort((a, b) => a.size - b.size)) yield formatRow(result, base);
  yield '';
  for (const { peer, note } of results) if (note !== undefined) yield `${peer}: ${note}.  `;
  yield* formatKinds(results.filter(({ kinds }) => kinds !== undefined));
}

function formatRow({ peer, size, generation, application }: Result, base: Result | undefined): string {
  const sizeRatio = base === undefined ? '' : (size / base.size).toFixed(3);
  const { others } = generation;
  const cells = [
    peer,
    formatNumber(size),
    sizeRatio,
    ...formatUsage(generation, base?.generation),
    ...formatUsage(application, base?.application),
    others > QUIET ? `${others.toFixed(1)} cores` : 'quiet',
  ];
  return `| ${cells.join(' | ')} |`;
}

function formatUsage({ wall, cpu, memory, others }: Usage, base: Usage | undefined): string[] {
  const ratio = (value: number, of: number | undefined) =>
    of === undefined ? value.toFixed(1) : (value / Math.max(of, 0.01)).toFixed(2);
  const isTelling = others < BUSY && (base === undefined || base.others < BUSY);
  return [isTelling ? ratio(wall, base?.wall) : '–', ratio(cpu, base?.cpu), formatMemory(memory)];
}

function describe({ wall, cpu, memory }: Usage): string {
  return `${wall.toFixed(1)} s (${cpu.toFixed(1)} s of CPU, ${formatMemory(memory)})`;
}

/** Of what downloads consist, as far as peers tell. */
function* formatKinds(results: readonly Result[]): Generator<string> {
  const [first] = results;
  if (first === undefined) return;
  yield '';
  yield `| kind of object | objects | content | ${results.map(({ peer }) => peer).join(' | ')} |`;
  yield `| --- | --: | --: | ${results.map(() => '--:').join(' | ')} |`;
  const parts = Object.entries(first.kinds!).sort(([, a], [, b]) => b.stored - a.stored);
  for (const [kind, { objects, raw }] of parts) {
    const stored = results.map(({ kinds }) => formatNumber(kinds![kind]?.stored ?? 0));
    yield `| ${kind} | ${formatNumber(objects)} | ${formatNumber(raw)} | ${stored.join(' | ')} |`;
  }
}

function formatMemory(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

function formatNumber(value: number): string {
  return value.toLocaleString('en');
}
