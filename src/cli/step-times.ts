/** How long the steps of a command take. */
import type { Progress } from '../core/progress.ts';
import type { CliContext } from './context.ts';

export class StepTimes {
  /** Passes all events on. */
  readonly progress: Progress;
  readonly #seconds = new Map<string, number>();

  constructor(progress: Progress, context: CliContext) {
    const began = new Map<string, number>();
    this.progress = (event) => {
      progress(event);
      if (event.kind === 'start') began.set(event.step, context.now().getTime());
      else if (event.kind === 'finish') {
        const seconds = (context.now().getTime() - (began.get(event.step) ?? context.now().getTime())) / 1000;
        this.#seconds.set(event.step, (this.#seconds.get(event.step) ?? 0) + seconds);
      }
    };
  }

  /** Seconds by the names of the steps, in the order in which they ended. A step that came several times counts once. */
  get seconds(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#seconds);
  }
}
