/**
 * Tests that need more than a plain user account say so through `when`. On a developer's machine such a test is left out
 * with its reason in the title; with CI=true nothing is left out: a missing requirement fails there.
 */
import { execFileSync } from 'node:child_process';
import { describe, it } from 'vitest';

const CI = process.env.CI === 'true';

function hasProgram(name: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** What a test can ask for: `root`, or the name of a program on PATH. */
function missing(requirements: readonly string[]): string[] {
  return requirements.filter((name) => (name === 'root' ? process.getuid?.() !== 0 : !hasProgram(name)));
}

/** `describe` for tests that need `root` or programs. */
export function describeWith(requirements: readonly string[], title: string, body: () => void): void {
  const absent = missing(requirements);
  if (absent.length === 0 || CI) describe(title, body);
  else describe.skip(`${title} [needs ${absent.join(', ')}]`, body);
}

/** `it` for a test that needs `root` or programs. */
export function itWith(
  requirements: readonly string[],
  title: string,
  body: () => void | Promise<void>,
  timeout?: number,
): void {
  const absent = missing(requirements);
  if (absent.length === 0 || CI) it(title, body, timeout);
  else it.skip(`${title} [needs ${absent.join(', ')}]`, body);
}
