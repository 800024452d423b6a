/** Plans of members in a `difference` record: which bases a member has, and how each is projected. docs/formats/delta.md has the format. */
import { type ByteReader, type ByteWriter, fromBytes, toBytes } from '../../core/bytes.ts';
import { MAX_MEMBER_BASES } from '../../core/limits.ts';
import { damagedDelta } from '../damage.ts';
import type { Projection } from '../projection/projection.ts';
import { projectionNamed } from '../projection/projections.ts';
import { readSigned, writeSigned } from '../signed.ts';

export interface PlannedProjection {
  readonly projection: Projection;
  /** What it must know of the new file. */
  readonly description: Uint8Array;
}

export interface PlannedBase {
  /** Among the bases of the record. */
  readonly index: number;
  /** undefined: the base is used as it is. */
  readonly projected: PlannedProjection | undefined;
}

export type MemberPlan = readonly PlannedBase[];

/** Projections that one record may name. */
const MAX_PROJECTIONS = 16;

/** What plans refer to of earlier ones in the same record. */
class PlanState {
  /** The base that is to be expected. */
  expected = 0;
  readonly projections: Projection[] = [];
}

export class PlanWriter {
  readonly #state = new PlanState();

  write(plan: MemberPlan, writer: ByteWriter): void {
    const state = this.#state;
    writer.varint(plan.length);
    for (const { index, projected } of plan) {
      writeSigned(writer, index - state.expected);
      state.expected = index + 1;
      if (projected === undefined) writer.varint(0);
      else this.#writeProjected(projected, writer);
    }
  }

  #writeProjected({ projection, description }: PlannedProjection, writer: ByteWriter): void {
    const { projections } = this.#state;
    const number = projections.indexOf(projection);
    writer.varint(number < 0 ? projections.length + 1 : number + 1);
    if (number < 0) {
      projections.push(projection);
      writer.u8(projection.name.length);
      writer.bytes(toBytes(projection.name));
    }
    writer.varint(description.length);
    writer.bytes(description);
  }
}

export class PlanReader {
  readonly #state = new PlanState();
  readonly #baseCount: number;

  constructor(baseCount: number) {
    this.#baseCount = baseCount;
  }

  /** @throws OsupdError `damaged-delta`; `unsupported` for a projection that a newer osupd has. */
  read(reader: ByteReader): MemberPlan {
    const state = this.#state;
    const count = reader.varint('the number of bases of a member');
    if (count > Math.min(this.#baseCount, MAX_MEMBER_BASES))
      throw damagedDelta(`a member has ${count} bases of ${this.#baseCount}`);
    const plan: PlannedBase[] = [];
    const used = new Set<number>();
    while (plan.length < count) {
      const index = state.expected + readSigned(reader, 'a base of a member');
      if (index < 0 || index >= this.#baseCount || used.has(index))
        throw damagedDelta(`a member has the base ${index} of ${this.#baseCount}, or has it twice`);
      used.add(index);
      state.expected = index + 1;
      plan.push({ index, projected: this.#readProjected(reader) });
    }
    return plan;
  }

  #readProjected(reader: ByteReader): PlannedProjection | undefined {
    const { projections } = this.#state;
    const number = reader.varint('a projection');
    if (number === 0) return undefined;
    if (number > projections.length + 1 || number > MAX_PROJECTIONS)
      throw damagedDelta(`the projection ${number} of ${projections.length}`);
    if (number > projections.length) {
      const name = fromBytes(reader.take(reader.u8('the length of a name'), 'the name of a projection'));
      if (!/^[a-z0-9-]{1,32}$/.test(name)) throw damagedDelta('the name of a projection is not a name');
      projections.push(projectionNamed(name));
    }
    const size = reader.varint('the length of a description');
    return { projection: projections[number - 1]!, description: reader.take(size, 'the description of a projection') };
  }
}
