/** The merge of /etc against a plain model of three trees, through real overlay mounts. */

import { mkdirSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { prepareEtc } from '../../../src/deploy/etc/prepare-etc.ts';
import type { Entry } from '../../../src/tree/tree.ts';
import { EtcDevice, NEW, noObjects, OLD, readContents } from '../../helpers/etc-device.ts';
import { mountFileSystem, unmountFileSystems } from '../../helpers/file-systems.ts';
import {
  applyEdits,
  copyModel,
  edits,
  type ModelDirectory,
  type ModelNode,
  modelDirectory,
  modelOf,
  printModel,
  runScript,
  writeModel,
} from '../../helpers/model-tree.ts';
import { enterMountNamespace } from '../../helpers/mount-namespace.ts';
import { describeWith } from '../../helpers/requirements.ts';
import { temporaryDirectory } from '../../helpers/temporary.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
const RUNS = 100 * SCALE;

const same = (a: ModelNode | undefined, b: ModelNode | undefined) => printModel(a) === printModel(b);

/** What is to show: the rules of docs/etc.md over what shows, without any thought of overlays. */
function expected(
  old: ModelNode | undefined,
  local: ModelNode | undefined,
  next: ModelNode | undefined,
): ModelNode | undefined {
  if (same(old, local)) return next;
  if (local?.type !== 'directory') return local === undefined ? undefined : expectedLeaf(old, local, next);
  if (old?.type === 'directory' && local.isNew) return local;
  const before = old?.type === 'directory' ? old : undefined;
  const after = next?.type === 'directory' ? next : undefined;
  const children = new Map<string, ModelNode>();
  const names = [before, local, after].flatMap((each) => [...(each?.children.keys() ?? [])]);
  for (const name of new Set(names)) {
    const child = expected(before?.children.get(name), local.children.get(name), after?.children.get(name));
    if (child !== undefined) children.set(name, child);
  }
  const isChanged = before === undefined || before.mode !== local.mode;
  if (after === undefined && children.size === 0 && !isChanged) return next;
  const mode = isChanged || after === undefined ? local.mode : after.mode;
  return { type: 'directory', mode, children, isNew: false };
}

function expectedLeaf(
  old: ModelNode | undefined,
  local: ModelNode,
  next: ModelNode | undefined,
): ModelNode | undefined {
  if (old?.type !== 'file' || local.type !== 'file' || next?.type !== 'file') return local;
  const content = [old.content, local.content, next.content];
  const mode = [old.mode, local.mode, next.mode];
  const merge = <Value>([was, here, there]: Value[]) =>
    was === here ? there : was === there || here === there ? here : undefined;
  const [mergedContent, mergedMode] = [merge(content), merge(mode)];
  if (mergedContent === undefined || mergedMode === undefined) return local;
  return { type: 'file', content: mergedContent, mode: mergedMode };
}

/** Files of an upper that hide a default which is the same, so that later defaults would not come through. */
function needless(upper: Entry, lower: Entry | undefined, path = ''): string[] {
  if (upper.type === 'character' || upper.type === 'hardlink') return [];
  if (upper.type === 'directory') {
    const below = lower?.type === 'directory' && !upper.xattrs.has('trusted.overlay.opaque') ? lower : undefined;
    if (below === undefined) return [];
    return [...upper.children].flatMap(([name, entry]) => needless(entry, below.children.get(name), `${path}/${name}`));
  }
  return lower !== undefined && lower.type !== 'hardlink' && same(modelOf(upper), modelOf(lower)) ? [path] : [];
}

const directory = temporaryDirectory();

describeWith(['root'], 'the /etc of the next deployment', () => {
  let disk = '';
  beforeAll(() => {
    enterMountNamespace();
    disk = mountFileSystem(directory, 'tmpfs');
  });
  afterAll(unmountFileSystems);

  it(
    'shows what the three trees together ask for',
    async () => {
      await fc.assert(
        fc.asyncProperty(modelDirectory(), edits(8), edits(8), async (old, here, there) => {
          const etc = await EtcDevice.create(disk);
          try {
            const next = copyModel(old);
            applyEdits(next, there);
            const local: ModelDirectory = copyModel(old);
            const script = applyEdits(local, here);
            writeModel(old, etc.old);
            writeModel(next, etc.new);
            mkdirSync(etc.upperOf(OLD), { recursive: true });
            // The root of an upper has the mode of the default, as prepareEtc makes it.
            runScript(`chmod ${old.mode.toString(8)} ${etc.upperOf(OLD)}`, disk);
            const mounted = etc.mount(OLD);
            runScript(script, mounted);
            const shown = await readContents(mounted);
            expect(printModel(modelOf(shown.root))).toBe(printModel(local));
            const before = await readContents(etc.upperOf(OLD));

            const [from, to] = [await etc.side(OLD), await etc.side(NEW)];
            const request = {
              device: etc.device,
              stack: 'os',
              from,
              to,
              policy: 'merge' as const,
              openObject: noObjects,
            };
            const report = await prepareEtc(request);
            expect(await readContents(etc.upperOf(OLD))).toEqual(before);
            // Once more gives the same, and says the same.
            const first = await readContents(etc.upperOf(NEW));
            expect(await prepareEtc(request)).toEqual(report);
            expect(await readContents(etc.upperOf(NEW))).toEqual(first);
            expect(needless(first.root, to.tree.root.children.get('etc'))).toEqual([]);
            const result = await readContents(etc.mount(NEW));
            expect(printModel(modelOf(result.root))).toBe(printModel(expected(old, local, next)));
          } finally {
            etc.unmountAll();
          }
        }),
        { numRuns: RUNS },
      );
    },
    120_000 * SCALE,
  );
});
