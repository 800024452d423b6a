/** Records of the codec `difference` as text: their segments, and how their members use bases. */
import { ByteReader } from '../../core/bytes.ts';
import { type MemberPlan, PlanReader } from '../codecs/difference-plan.ts';
import { readSegment } from '../codecs/difference-segment.ts';
import { StoredBytes } from '../codecs/stored-bytes.ts';
import { openStream } from '../coding/stream-choice.ts';
import { damagedPart } from '../damage.ts';

/**
 * A line for each segment. Nothing is decoded.
 * @throws OsupdError `damaged-delta`.
 */
export async function* describeDifference(
  stored: AsyncIterable<Uint8Array>,
  baseCount: number,
): AsyncGenerator<string> {
  await using source = new StoredBytes(stored);
  const reader = new PlanReader(baseCount);
  for (let number = 0; !(await source.isAtEnd()); number++) {
    const { size, plan, control, residual, literal } = await readSegment(source, Number.MAX_SAFE_INTEGER);
    const plans: MemberPlan[] = [];
    const bytes = new ByteReader(plan, damagedPart('plan of a segment'));
    while (bytes.remaining > 0) plans.push(reader.read(bytes));
    const streams = Object.entries({ control, residual, literal }).map(([name, bytes]) => describeStream(name, bytes));
    const lengths = [`plans ${plan.length}`, ...streams].join(', ');
    yield `  segment ${number} of ${size} bytes: ${lengths} bytes; ${describePlans(plans)}`;
  }
}

/** A stream's length, and the coder where it is not the usual one. */
function describeStream(name: string, stored: Uint8Array): string {
  const coder = stored.length === 0 || openStream(stored, name).isAdaptive ? '' : ' packed';
  return `${name} ${stored.length}${coder}`;
}

/** How many members there are of each way to use bases, the most frequent first. */
function describePlans(plans: readonly MemberPlan[]): string {
  if (plans.length === 0) return 'the member before goes on';
  const ways = [...Map.groupBy(plans, describePlan)].sort(([, a], [, b]) => b.length - a.length);
  const counted = ways.map(([way, { length }]) => `${length} ${way}`).join(', ');
  return `${plans.length} ${plans.length === 1 ? 'member' : 'members'}: ${counted}`;
}

function describePlan(plan: MemberPlan): string {
  if (plan.length === 0) return 'without base';
  const names = plan.map(({ projected }) => projected?.projection.name ?? 'as it is');
  return plan.length === 1 ? `on one base ${names[0]}` : `on ${plan.length} bases ${names.join(' and ')}`;
}
