/**
 * Cuts of the power at every step: a test replaces `node:fs` and `node:fs/promises` by {@link cuttable} ones, then
 * {@link cutAt} lets so many changes of the file system happen and none after.
 *
 *     vi.mock('node:fs', async (original) => (await import('../helpers/power-cut.ts')).cuttable(await original()));
 */

/** Calls that change the file system, or open something to change it. */
const CHANGES = [
  'chmodSync',
  'linkSync',
  'mkdirSync',
  'renameSync',
  'rmSync',
  'rmdirSync',
  'symlinkSync',
  'unlinkSync',
  'writeFileSync',
  'open',
  'rename',
  'rm',
  'mkdir',
  'makeNode',
  'exchangeNames',
];

class PowerCut extends Error {}

// The helper is loaded once for the mocks and once for the test file: what they share hangs on the process.
const shared = globalThis as { powerCut?: { left: number; cut: boolean } };
shared.powerCut ??= { left: Number.POSITIVE_INFINITY, cut: false };
const state = shared.powerCut;

/** A module of the runtime whose changing calls count. */
export function cuttable<Module extends object>(module: Module): Module {
  const calls = module as Record<string, unknown>;
  const wrapped = CHANGES.filter((name) => typeof calls[name] === 'function').map((name) => [
    name,
    (...args: unknown[]) => {
      if (state.left === 0) {
        state.cut = true;
        throw new PowerCut(`the power was cut before ${name}`);
      }
      state.left--;
      return (calls[name] as (...all: unknown[]) => unknown)(...args);
    },
  ]);
  return { ...module, ...Object.fromEntries(wrapped) };
}

/** Runs something with the power cut before its change number `step` (from 0). True when it got that far; false when it ended before. */
export async function cutAt(step: number, run: () => unknown): Promise<boolean> {
  state.left = step;
  state.cut = false;
  try {
    await run();
  } catch (error) {
    if (!state.cut) throw error;
  } finally {
    state.left = Number.POSITIVE_INFINITY;
  }
  return state.cut;
}
