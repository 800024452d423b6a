/** What the commands tell that change what the machine boots: as text and as data. */
import type { BootChange } from '../deploy/boot/switch-boot.ts';
import { formatBytes } from './output.ts';

/** A change, for `--json`. */
export function bootChangeReport({ stack, from, to, entry, files, removed, changed }: BootChange): object {
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
  };
}

/** What was done or would be, line by line; the files only where nothing is written yet, or with `verbose`. */
export function bootChangeText(change: BootChange, options: { dryRun: boolean; verbose: boolean }): string {
  const { stack, from, to, entry, text, files, removed, changed } = change;
  const images = to.images.map(({ name, version }) => `${name} ${version}`).join(', ');
  const before = from === undefined || from === to.id ? '' : `, in place of ${from}`;
  const tries = entry.left === undefined ? '' : `; it has ${entry.left} attempt${entry.left === 1 ? '' : 's'}`;
  const verb = options.dryRun && changed ? 'would boot' : 'boots';
  const first = `${stack}: ${verb} ${to.id} (${images}) at the next start${before}${tries}`;
  if (!changed) return `${first}; its entry is there already`;
  if (!options.dryRun && !options.verbose) return first;
  return [
    first,
    ...removed.map(({ file }) => `  removes ${file}`),
    ...files.map(({ path, bytes }) => `  writes ${path}, ${formatBytes(bytes)}`),
    `  writes loader/entries/${entry.file}:`,
    ...text
      .trimEnd()
      .split('\n')
      .map((line) => `    ${line}`),
  ].join('\n');
}
