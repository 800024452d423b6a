/** The error for bytes of a delta that do not follow its format. */
import { OsupdError } from '../core/errors.ts';

/** @param offset where in the part that is read; left out where it says nothing. */
export function damagedDelta(message: string, where?: string, cause?: unknown): OsupdError {
  return new OsupdError('damaged-delta', message, {
    ...(where === undefined ? {} : { where }),
    remedy: 'fetch the delta again; if it stays so, make it anew with "osupd repo delta"',
    cause,
  });
}

/** The complaint of a ByteReader that reads `part` of a delta. */
export function damagedPart(part: string): (what: string, offset: number) => OsupdError {
  return (what, offset) => damagedDelta(`${what} (byte ${offset} of the ${part})`);
}
