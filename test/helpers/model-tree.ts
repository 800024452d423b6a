/** A small file tree as a model: what it is in memory, how it is written to disk, and random edits of both. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { type DirectoryNode, nodeOf, type TreeNode } from '../../src/tree/tree.ts';

export type ModelNode = ModelDirectory | ModelFile | ModelLink;

export interface ModelDirectory {
  readonly type: 'directory';
  mode: number;
  readonly children: Map<string, ModelNode>;
  /** Made by an edit, so not the directory that was there before. */
  readonly isNew: boolean;
}

interface ModelFile {
  readonly type: 'file';
  content: string;
  mode: number;
}

interface ModelLink {
  readonly type: 'symlink';
  readonly target: string;
}

const NAMES = ['a', 'b', 'c', 'd'];
const CONTENTS = ['one', 'two', 'three', ''];

const leaf: fc.Arbitrary<ModelNode> = fc.oneof(
  fc.record({
    type: fc.constant('file' as const),
    content: fc.constantFrom(...CONTENTS),
    mode: fc.constantFrom(0o644, 0o600),
  }),
  fc.constantFrom('x', 'y').map((target): ModelNode => ({ type: 'symlink', target })),
);

/** A directory with up to four names, and directories in it. */
export function modelDirectory(depth = 3): fc.Arbitrary<ModelDirectory> {
  const node =
    depth === 1 ? leaf : fc.oneof({ weight: 2, arbitrary: leaf }, { weight: 2, arbitrary: modelDirectory(depth - 1) });
  return fc
    .tuple(fc.constantFrom(0o755, 0o755, 0o750), fc.array(fc.tuple(fc.constantFrom(...NAMES), node), { maxLength: 4 }))
    .map(([mode, children]) => ({ type: 'directory', mode, children: new Map(children), isNew: false }));
}

/** An edit; `at` and `to` choose among the names that there are. */
export interface Edit {
  readonly kind: 'write' | 'remove' | 'mode' | 'directory' | 'replace' | 'move' | 'link' | 'touch';
  readonly at: number;
  readonly to: number;
  readonly name: string;
  readonly content: string;
}

export const edits = (maxLength: number): fc.Arbitrary<Edit[]> =>
  fc.array(
    fc.record({
      kind: fc.constantFrom<Edit['kind'][]>(
        'write',
        'write',
        'remove',
        'mode',
        'directory',
        'replace',
        'move',
        'link',
        'touch',
      ) as fc.Arbitrary<Edit['kind']>,
      at: fc.nat(),
      to: fc.nat(),
      name: fc.constantFrom(...NAMES),
      content: fc.constantFrom(...CONTENTS),
    }),
    { maxLength },
  );

interface Place {
  readonly path: string;
  readonly name: string;
  readonly parent: ModelDirectory;
  readonly node: ModelNode;
}

function places(root: ModelDirectory): Place[] {
  const list = (parent: ModelDirectory, prefix: string): Place[] =>
    [...parent.children].flatMap(([name, node]) => [
      { path: prefix + name, name, parent, node },
      ...(node.type === 'directory' ? list(node, `${prefix}${name}/`) : []),
    ]);
  return list(root, './');
}

/** Edits the model in place. @returns a shell script that does the same in its working directory. */
export function applyEdits(root: ModelDirectory, all: readonly Edit[]): string {
  return ['set -e', ...all.map((edit) => applyEdit(root, edit))].join('\n');
}

function applyEdit(root: ModelDirectory, { kind, at, to, name, content }: Edit): string {
  const existing = places(root);
  const directories = [
    { path: '.', node: root },
    ...existing.flatMap(({ path, node }) => (node.type === 'directory' ? [{ path, node }] : [])),
  ];
  const into = directories[to % directories.length] ?? { path: '.', node: root };
  const path = `${into.path}/${name}`;
  const place = existing[at % existing.length];
  const there = into.node.children.get(name);
  const newDirectory = (): ModelDirectory => ({ type: 'directory', mode: 0o755, children: new Map(), isNew: true });
  if (kind === 'write' && there?.type !== 'directory') {
    into.node.children.set(name, { type: 'file', content, mode: there?.type === 'file' ? there.mode : 0o644 });
    return `${there?.type === 'symlink' ? `rm ${path}; ` : ''}printf %s '${content}' > ${path}`;
  }
  if (kind === 'directory' && there?.type !== 'directory') {
    into.node.children.set(name, newDirectory());
    return `rm -f ${path}; mkdir ${path}`;
  }
  if (kind === 'link' && there?.type !== 'directory') {
    into.node.children.set(name, { type: 'symlink', target: content || 'x' });
    return `ln -sfT ${content || 'x'} ${path}`;
  }
  if (place === undefined) return ':';
  if (kind === 'remove') {
    place.parent.children.delete(place.name);
    return `rm -r ${place.path}`;
  }
  if (kind === 'touch') return `touch -h -d 2001-01-01 ${place.path}`;
  if (kind === 'mode' && place.node.type !== 'symlink') {
    place.node.mode = [0o700, 0o711, 0o644][to % 3] ?? 0;
    return `chmod ${place.node.mode.toString(8)} ${place.path}`;
  }
  if (kind === 'replace' && place.node.type === 'directory') {
    place.parent.children.set(place.name, newDirectory());
    return `rm -r ${place.path}; mkdir ${place.path}`;
  }
  if (kind === 'move' && there === undefined && !`${path}/`.startsWith(`${place.path}/`)) {
    place.parent.children.delete(place.name);
    into.node.children.set(name, moved(place.node));
    return `mv -T ${place.path} ${path}`;
  }
  return ':';
}

function moved(node: ModelNode): ModelNode {
  if (node.type !== 'directory') return node;
  const children = new Map([...node.children].map(([name, child]) => [name, moved(child)]));
  return { ...node, children, isNew: true };
}

export function copyModel<Node extends ModelNode | undefined>(node: Node): Node {
  return structuredClone(node);
}

/** Writes the model's directory under a name that does not exist. */
export function writeModel(node: ModelNode, path: string): void {
  if (node.type === 'symlink') {
    symlinkSync(node.target, path);
    return;
  }
  if (node.type === 'file') writeFileSync(path, node.content);
  else {
    mkdirSync(path);
    for (const [name, child] of node.children) writeModel(child, `${path}/${name}`);
  }
  chmodSync(path, node.mode);
}

/** A tree that was read with its contents in it, as a model. */
export function modelOf(node: TreeNode): ModelNode {
  if (node.type === 'symlink') return { type: 'symlink', target: node.target };
  if (node.type === 'file') {
    return { type: 'file', content: Buffer.from(node.content ?? []).toString('latin1'), mode: node.mode };
  }
  if (node.type !== 'directory') throw new Error(`the model has no ${node.type}`);
  return modelOfDirectory(node);
}

function modelOfDirectory(node: DirectoryNode): ModelDirectory {
  const children = [...node.children].map(([name, entry]): [string, ModelNode] => [name, modelOf(nodeOf(entry))]);
  return { type: 'directory', mode: node.mode, children: new Map(children), isNew: false };
}

/** One text for what is equal, whatever `isNew` says. */
export function printModel(node: ModelNode | undefined): string {
  if (node === undefined) return 'nothing';
  if (node.type === 'symlink') return `-> ${node.target}`;
  if (node.type === 'file') return `${node.mode.toString(8)} "${node.content}"`;
  const children = [...node.children].sort(([a], [b]) => (a < b ? -1 : 1));
  return `${node.mode.toString(8)} { ${children.map(([name, child]) => `${name}: ${printModel(child)}`).join(', ')} }`;
}

export function runScript(script: string, cwd: string): void {
  execFileSync('sh', ['-c', script], { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
}
