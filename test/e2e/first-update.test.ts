import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect } from 'vitest';
import { itWith } from '../helpers/requirements.ts';

const EXAMPLE = resolve(import.meta.dirname, '../../examples/first-update.ts');

function runExample(environment: NodeJS.ProcessEnv, user?: number): { status: number | null; output: string } {
  const result = spawnSync(process.execPath, [EXAMPLE], {
    encoding: 'utf8',
    env: environment,
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  return { status: result.status, output: result.stdout + result.stderr };
}

describe('the first update of the README', () => {
  itWith(
    ['root', 'apt-get', 'dpkg-deb'],
    'as root: real packages are published, pulled, switched under a reader, and rolled back without one failed read',
    () => {
      const { status, output } = runExample(process.env);
      expect(output).toContain('Debian packages');
      expect(output).toMatch(/the reader: [1-9]\d* reads, 0 failures, 2 contents, [1-9]\d* changes/);
      expect(output).toContain('Done.');
      expect(status).toBe(0);
    },
    300_000,
  );

  itWith(
    ['root', 'apt-get', 'dpkg-deb'],
    'without root: everything up to the switch, and it says so',
    () => {
      const { status, output } = runExample({ ...process.env, HOME: '/nonexistent' }, 65534);
      expect(output).toContain('mounting needs root');
      expect(output).toContain('Done.');
      expect(status).toBe(0);
    },
    300_000,
  );

  itWith(
    ['root'],
    "where there is no apt: two versions of a tree of the machine's own programs",
    () => {
      const { status, output } = runExample({ ...process.env, PATH: '/nonexistent' }, 65534);
      expect(output).toContain("this machine's own programs");
      expect(status).toBe(0);
    },
    300_000,
  );
});
