import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lineChanges, splitLines } from '../../../src/deploy/etc/line-difference.ts';
import { mergeLines } from '../../../src/deploy/etc/merge-lines.ts';
import { itWith } from '../../helpers/requirements.ts';
import { temporaryDirectory } from '../../helpers/temporary.ts';

const directory = temporaryDirectory();
const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);

const text = (line: fc.Arbitrary<string>) =>
  fc.tuple(fc.array(line, { maxLength: 12 }), fc.boolean()).map(([lines, end]) => lines.join('\n') + (end ? '\n' : ''));
/** Many lines are the same, as comments and empty lines are. */
const repetitive = text(fc.constantFrom('', '#', '# a', 'x', 'y'));

describe('changes by lines', () => {
  it('make the one text of the other, with lines between them', () => {
    fc.assert(
      fc.property(repetitive, repetitive, (one, other) => {
        const [a, b] = [splitLines(one), splitLines(other)];
        expect(a.join('')).toBe(one);
        const changes = lineChanges(a, b) ?? [];
        let [at, out] = [0, ''];
        for (const [index, { start, end, otherStart, otherEnd }] of changes.entries()) {
          if (index > 0) expect(start).toBeGreaterThan(at);
          out += a.slice(at, start).join('') + b.slice(otherStart, otherEnd).join('');
          at = end;
        }
        expect(out + a.slice(at).join('')).toBe(other);
      }),
      { numRuns: 1000 * SCALE },
    );
  });

  it('are not looked for when there are too many', () => {
    const lines = (word: string) => Array.from({ length: 2500 }, (_, index) => `${word} ${index}\n`);
    expect(lineChanges(lines('a'), lines('b'))).toBeUndefined();
    expect(mergeLines(lines('a').join(''), lines('b').join(''), 'c')).toBeUndefined();
  });
});

describe('a merge by lines', () => {
  it('takes the side that alone has changed, and what both have done', () => {
    fc.assert(
      fc.property(repetitive, repetitive, (one, other) => {
        expect(mergeLines(one, other, one)).toBe(other);
        expect(mergeLines(one, one, other)).toBe(other);
        expect(mergeLines(one, other, other)).toBe(other);
      }),
      { numRuns: 1000 * SCALE },
    );
  });

  it('is the same from both sides', () => {
    fc.assert(
      fc.property(repetitive, repetitive, repetitive, (old, here, there) => {
        expect(mergeLines(old, here, there)).toBe(mergeLines(old, there, here));
      }),
      { numRuns: 1000 * SCALE },
    );
  });

  it('brings changes in different places together', () => {
    const old = '# Port\n#Port 22\n\n# Root\nPermitRootLogin no\n\nUsePAM yes\n';
    const local = old.replace('#Port 22', 'Port 2222');
    const next = old.replace('UsePAM yes', 'UsePAM yes\nX11Forwarding no');
    expect(mergeLines(old, local, next)).toBe(
      '# Port\nPort 2222\n\n# Root\nPermitRootLogin no\n\nUsePAM yes\nX11Forwarding no\n',
    );
  });

  it('refuses changes of the same line, of neighbours, and at one place', () => {
    expect(mergeLines('a\nb\nc\n', 'a\nx\nc\n', 'a\ny\nc\n')).toBeUndefined();
    expect(mergeLines('a\nb\nc\n', 'x\nb\nc\n', 'a\ny\nc\n')).toBeUndefined();
    expect(mergeLines('a\nb\n', 'a\nx\nb\n', 'a\ny\nb\n')).toBeUndefined();
    expect(mergeLines('a', 'a\n', 'a b')).toBeUndefined();
  });

  itWith(['diff3'], 'agrees with diff3 where each line is there once', () => {
    // Edits of numbered lines: what is common is clear, so both must find it.
    const edit = fc.array(fc.constantFrom('keep', 'keep', 'keep', 'keep', 'change', 'remove', 'add'), {
      minLength: 12,
      maxLength: 12,
    });
    const apply = (lines: readonly string[], kinds: readonly string[], side: string) =>
      lines.flatMap((line, index) => {
        const kind = kinds[index];
        if (kind === 'remove') return [];
        return kind === 'change' ? [`${side}${line}`] : kind === 'add' ? [line, `${side}+${line}`] : [line];
      });
    const old = Array.from({ length: 12 }, (_, index) => `line ${index}\n`);
    const file = (name: string, lines: readonly string[]) => {
      writeFileSync(join(directory, name), lines.join(''));
      return join(directory, name);
    };
    fc.assert(
      fc.property(edit, edit, fc.boolean(), (here, there, together) => {
        const local = apply(old, here, 'l');
        const next = apply(old, there, together ? 'l' : 'n');
        const { status, stdout } = spawnSync(
          'diff3',
          ['-m', file('local', local), file('old', old), file('next', next)],
          { encoding: 'utf8' },
        );
        const merged = mergeLines(old.join(''), local.join(''), next.join(''));
        if (status === 0) expect(merged).toBe(stdout);
        // diff3 also calls a conflict where both did the same to a part of a region.
        else if (merged !== undefined) expect(together).toBe(true);
      }),
      { numRuns: 40 * SCALE },
    );
  });
});
