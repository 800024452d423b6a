/**
 * Patterns that name paths of a tree, as `--exclude` takes them.
 *
 * A pattern is anchored at the root of the tree, with or without a leading `/`, and matches a name and all that is below
 * it. `*` and `?` match anything but `/` (leading dots too), `[a-z]` and `[!a-z]` one byte, `\` takes the next character
 * as it is, and a component `**` any number of directories: `usr/share/doc`, `var/cache/*`, all editor backups with
 * `**` + `/*~`.
 *
 * The runtime's own path.matchesGlob is not used: its `*` passes over names with a leading dot, and it compiles a pattern
 * anew for every path.
 */
import { type ByteString, fromText } from '../core/bytes.ts';
import { OsupdError } from '../core/errors.ts';

/**
 * One test for all the patterns together; paths are relative to the root, without a leading `/`.
 * @throws OsupdError `usage` for a pattern that names nothing.
 */
export function compileGlobs(patterns: readonly string[]): (path: ByteString) => boolean {
  if (patterns.length === 0) return () => false;
  const sources = patterns.map((pattern) => compile(pattern));
  const expression = new RegExp(`^(?:${sources.join('|')})(?:/|$)`, 's');
  return (path) => expression.test(path);
}

function compile(pattern: string): string {
  const components = fromText(pattern)
    .split('/')
    .filter((component) => component !== '' && component !== '.');
  if (components.length === 0)
    throw new OsupdError('usage', `the pattern "${pattern}" names nothing below the root`, { facts: { pattern } });
  let source = '';
  for (const [index, component] of components.entries()) {
    const last = index === components.length - 1;
    // `a/**` is all below `a`, but not `a` itself.
    if (component === '**') source += last ? '[^/]+' : '(?:[^/]+/)*';
    else source += compileComponent(component) + (last ? '' : '/');
  }
  return source;
}

function compileComponent(component: string): string {
  let source = '';
  for (let at = 0; at < component.length; at++) {
    const character = component[at] as string;
    if (character === '*') source += '[^/]*';
    else if (character === '?') source += '[^/]';
    else if (character === '\\' && at + 1 < component.length) source += literal(component[++at] as string);
    else if (character === '[') {
      const end = component.indexOf(']', at + (component[at + 1] === '!' ? 3 : 2));
      if (end < 0) source += literal(character);
      else {
        source += characterClass(component.slice(at + 1, end));
        at = end;
      }
    } else source += literal(character);
  }
  return source;
}

function characterClass(inside: string): string {
  const negated = inside.startsWith('!');
  const members = (negated ? inside.slice(1) : inside).replace(/[\\\]^[]/g, '\\$&');
  return negated ? `[^/${members}]` : `[${members}]`;
}

function literal(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/-]/, '\\$&');
}
