/** What the commands tell that change what the machine boots: as text and as data. */
import { countOf } from '../core/count.ts';
import type { BootChange } from '../deploy/boot/switch-boot.ts';
import { formatEtcReport, plainEtcReport } from '../deploy/etc/report.ts';
import { etcChangeLine, plainEtcChange } from './etc-change-text.ts';
import { formatBytes } from './output.ts';

/** A change, for `--json`. */
export function bootChangeReport({ stack, from, to, entry, files, removed, changed, etc, lost }: BootChange): object {
  return {
    stack,
    from: from ?? null,
    to: to.id,
    images: to.images,
    takesEffect: 'next-start',
    changed,
    entry: {
      file: entry.file,
      generation: entry.generation,
      tries: entry.left ?? null,
      title: entry.contents.title,
      kernel: entry.contents.kernel,
      initrd: entry.contents.initrd ?? null,
      options: entry.contents.options,
    },
    files,
    removed: removed.map(({ file }) => file),
    etc: etc === undefined ? null : plainEtcReport(etc),
    lost: lost.map(plainEtcChange),
  };
}

/** What was done or would be, line by line; the files only where nothing is written yet, or with `verbose`. */
export function bootChangeText(change: BootChange, options: { dryRun: boolean; verbose: boolean }): string {
  const { stack, from, to, entry, changed } = change;
  const images = to.images.map(({ name, version }) => `${name} ${version}`).join(', ');
  const before = from === undefined || from === to.id ? '' : `, in place of ${from}`;
  const tries = entry.left === undefined ? '' : `; it has ${countOf(entry.left, 'attempt')}`;
  const verb = options.dryRun && changed ? 'would boot' : 'boots';
  const first = `${stack}: ${verb} ${to.id} (${images}) at the next start${before}${tries}`;
  const written = !options.dryRun && !options.verbose ? [] : filesText(change);
  return [
    changed ? first : `${first}; its entry is there already`,
    ...(changed ? written : []),
    ...etcText(change, options).map((line) => `  ${line}`),
  ].join('\n');
}

function filesText({ entry, text, files, removed }: BootChange): string[] {
  return [
    ...removed.map(({ file }) => `  removes ${file}`),
    ...files.map(({ path, bytes }) => `  writes ${path}, ${formatBytes(bytes)}`),
    `  writes loader/entries/${entry.file}:`,
    ...text
      .trimEnd()
      .split('\n')
      .map((line) => `    ${line}`),
  ];
}

/** Conflicts always; what went well only where somebody asks for it. */
function etcText({ etc, lost, from, to }: BootChange, options: { dryRun: boolean; verbose: boolean }): string[] {
  if (etc === undefined) {
    if (from === undefined || from === to.id) return [];
    const first = `/etc is that of when ${to.id} was prepared or ran last`;
    return lost.length === 0 ? [first] : [`${first}; changes that stay with ${from}:`, ...lost.map(etcChangeLine)];
  }
  if (!options.dryRun && !options.verbose && etc.conflicts.length === 0) return [];
  return formatEtcReport(etc, options);
}
