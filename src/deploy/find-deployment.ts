/** From what people type to one deployment of one stack. */
import { OsupdError } from '../core/errors.ts';
import { listDeploymentIds } from './deployment.ts';
import { serialOf } from './deployment-files.ts';
import type { DeviceRoot } from './device.ts';
import { readLinks } from './links.ts';

export interface DeploymentReference {
  readonly stack: string;
  readonly id: string;
}

/**
 * Finds a deployment by its ID, its serial number alone, or one of `current`, `next`, `rollback`; each may have `STACK/` in
 * front, and must have it where several stacks have such a deployment.
 *
 * @param within look in this stack only.
 * @throws OsupdError `not-found`, with what there is; `usage` when several fit.
 */
export function findDeployment(device: DeviceRoot, text: string, within?: string): DeploymentReference {
  const slash = text.indexOf('/');
  const word = text.slice(slash + 1);
  const stack = slash < 0 ? within : text.slice(0, slash);
  const stacks = device.stacks().filter((each) => stack === undefined || each === stack);
  const found = stacks.flatMap((each) => matches(device, each, word).map((id) => ({ stack: each, id })));
  const [only, another] = found;
  if (only === undefined) throw notFound(device, text, stacks);
  if (another === undefined) return only;
  throw new OsupdError('usage', 'several deployments are meant by this', {
    where: text,
    remedy: `name one of ${found.map((each) => `${each.stack}/${each.id}`).join(', ')}`,
  });
}

function matches(device: DeviceRoot, stack: string, word: string): string[] {
  if (word === 'current' || word === 'next' || word === 'rollback') {
    const id = readLinks(device, stack)[word];
    return id === undefined ? [] : [id];
  }
  return listDeploymentIds(device, stack).filter((id) => id === word || String(serialOf(id)) === word);
}

function notFound(device: DeviceRoot, text: string, stacks: readonly string[]): OsupdError {
  const all = stacks.flatMap((stack) => listDeploymentIds(device, stack).map((id) => `${stack}/${id}`));
  return new OsupdError('not-found', 'there is no such deployment', {
    where: text,
    remedy: all.length === 0 ? 'nothing is deployed yet: run osupd pull' : `there are ${all.join(', ')}`,
  });
}
