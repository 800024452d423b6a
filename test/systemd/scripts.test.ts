import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'vitest';
import { itWith } from '../helpers/requirements.ts';

const SYSTEMD = resolve(import.meta.dirname, '../../systemd');

itWith(['shellcheck'], 'no shell script has anything that shellcheck knows to be doubtful', () => {
  const files = readdirSync(SYSTEMD, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const scripts = files.filter((file) =>
    /^#(!.*\bsh\b|!.*\bbash\b| shellcheck shell)/.test(readFileSync(file, 'utf8')),
  );
  expect(scripts.length).toBeGreaterThan(4);
  execFileSync('shellcheck', ['-x', '-P', resolve(SYSTEMD, '..'), ...scripts], { stdio: 'inherit' });
});
