import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXIT_STATUS, OsupdError, toOsupdError } from '../../src/core/errors.ts';

describe('errors', () => {
  it('carry code, place, remedy, facts and cause', () => {
    const cause = new Error('inner');
    const error = new OsupdError('busy', 'locked', { where: '/x', remedy: 'wait', facts: { pid: 7 }, cause });
    expect(error).toMatchObject({ code: 'busy', exitStatus: 8, where: '/x', remedy: 'wait', facts: { pid: 7 }, cause });
  });

  it('are made of system errors by their errno', () => {
    const code = (path: string) => {
      try {
        readFileSync(path);
      } catch (error) {
        return toOsupdError(error);
      }
      throw new Error('read');
    };
    expect(code('/nonexistent/file')).toMatchObject({ code: 'not-found', where: '/nonexistent/file' });
    expect(code('/etc')).toMatchObject({ code: 'io' });
  });

  it('of the system name the place once, and say what to do where that is known', () => {
    const system = (code: string, text: string) => Object.assign(new Error(`${code}: ${text}`), { code, path: '/x' });
    expect(
      toOsupdError(system('EACCES', "permission denied, rename '/x\u001b[31m' -> '/y, z'"), '/place'),
    ).toMatchObject({
      message: 'EACCES: permission denied, rename',
      where: '/place',
      remedy: expect.stringContaining('as root'),
    });
    const full = toOsupdError(system('ENOSPC', 'no space left on device, write'));
    expect(full).toMatchObject({ code: 'no-space', where: '/x', remedy: expect.stringContaining('make room') });
  });

  it('treat whatever else is thrown as a defect', () => {
    expect(toOsupdError(new TypeError('x is not a function')).code).toBe('internal');
    expect(toOsupdError('text').code).toBe('internal');
  });

  it('have the exit statuses that the documentation says', () => {
    const text = readFileSync(resolve(import.meta.dirname, '../../docs/cli.md'), 'utf8');
    const documented = [...text.matchAll(/^\| (\d+) \|/gm)].map((match) => Number(match[1]));
    expect(documented).toEqual([0, ...new Set(Object.values(EXIT_STATUS))].sort((a, b) => a - b));
  });
});
