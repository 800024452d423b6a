/** Reading what is in use: again when something changed meanwhile. */
import { OsupdError } from '../../core/errors.ts';

/** Programs write to /etc rarely, and for a moment. */
const ATTEMPTS = 5;

/** Does something that reads /etc; once more when it changed while it was read. @throws OsupdError `changed-while-read` in the end. */
export async function untilAtRest<Result>(read: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read();
    } catch (error) {
      const changed = error instanceof OsupdError && error.code === 'changed-while-read';
      if (!changed || attempt === ATTEMPTS) throw error;
    }
  }
}
