/** What a new delta is made of, for people. */
import type { DeltaSummary } from '../delta/write.ts';
import { formatBytes } from './output.ts';

/** @param steps seconds by the names of steps. */
export function describeSummary(summary: DeltaSummary, steps: Readonly<Record<string, number>>): string {
  const { head, objects, records, byKind, largest } = summary;
  const kinds = Object.entries(byKind).sort(([, a], [, b]) => b.stored - a.stored);
  const times = Object.entries(steps).filter(([, seconds]) => seconds >= 0.1);
  return [
    `size     ${formatBytes(summary.size)}, of it ${formatBytes(head.size)} for the images`,
    `objects  ${objects.count} new, ${formatBytes(objects.bytes)}, in ${records} records`,
    ...kinds.map(([kind, share]) => describeKind(kind, share)),
    ...(largest.length > 0 ? ['largest'] : []),
    ...largest.map(
      ({ path, codec, objects: count, stored }) =>
        `  ${formatBytes(stored).padStart(9)}  ${codec.padEnd(10)}  ${path}${count > 1 ? ` and ${count - 1} more` : ''}`,
    ),
    ...times.map(([step, seconds]) => `time     ${seconds.toFixed(1)} s  ${step}`),
  ].join('\n');
}

function describeKind(kind: string, { objects, raw, stored, codecs }: DeltaSummary['byKind'][string]): string {
  const parts = Object.entries(codecs).sort(([, a], [, b]) => b - a);
  const detail = parts.map(([codec, bytes]) => `${codec} ${formatBytes(bytes)}`).join(', ');
  const sizes = `${formatBytes(raw).padStart(9)} -> ${formatBytes(stored).padStart(9)}`;
  return `  ${kind.padEnd(12)}${String(objects).padStart(7)} objects  ${sizes}  ${detail}`;
}
