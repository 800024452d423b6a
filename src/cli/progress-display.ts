/** Progress events on a terminal (one line that is drawn over) and elsewhere (a plain line now and then). */
import type { Progress, ProgressEvent } from '../core/progress.ts';
import type { CliContext } from './context.ts';

/** Milliseconds between two drawings of the bar: smooth to the eye, cheap over a serial line. */
const REDRAW_MILLISECONDS = 100;
/** Milliseconds between two plain lines in a log. */
const LOG_MILLISECONDS = 10_000;
const BAR_WIDTH = 24;

interface Step {
  readonly name: string;
  readonly total: number | undefined;
  readonly unit: 'bytes' | 'items';
  readonly began: number;
  shownAt: number;
}

/** A display on standard error that fits it. With --json only notes are shown. */
export function progressFor(context: CliContext, json: boolean): Progress {
  const terminal = context.stderr.isTTY === true && context.environment.TERM !== 'dumb';
  const milliseconds = () => context.now().getTime();
  let step: Step | undefined;
  let drawn = false;

  const clear = () => {
    if (drawn) context.stderr.write('\r\u001b[K');
    drawn = false;
  };
  const draw = (done: number, now: number) => {
    if (step === undefined) return;
    step.shownAt = now;
    const text = describe(step, done, now);
    if (terminal) {
      context.stderr.write(`\r\u001b[K${text.slice(0, (context.stderr.columns ?? 80) - 1)}`);
      drawn = true;
    } else {
      context.stderr.write(`osupd: ${text}\n`);
    }
  };

  return (event: ProgressEvent) => {
    const now = milliseconds();
    if (event.kind === 'note') {
      clear();
      context.stderr.write(`osupd: ${event.text}\n`);
    } else if (json) {
      return;
    } else if (event.kind === 'start') {
      // A first plain line only after the interval: short steps leave no line in a log.
      step = { name: event.step, total: event.total, unit: event.unit, began: now, shownAt: terminal ? 0 : now };
      if (terminal) draw(0, now);
    } else if (event.kind === 'advance') {
      if (step?.name === event.step && now - step.shownAt >= (terminal ? REDRAW_MILLISECONDS : LOG_MILLISECONDS))
        draw(event.done, now);
    } else if (step?.name === event.step) {
      clear();
      step = undefined;
    }
  };
}

function describe(step: Step, done: number, now: number): string {
  const amount = step.unit === 'bytes' ? megabytes(done) : `${done}`;
  if (step.total === undefined || step.total === 0) return `${step.name}  ${amount}`;
  const share = Math.min(1, done / step.total);
  const filled = Math.round(share * BAR_WIDTH);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
  const total = step.unit === 'bytes' ? megabytes(step.total) : `${step.total}`;
  const seconds = (now - step.began) / 1000;
  const left = share > 0.02 && share < 1 && seconds > 1 ? `  ${Math.ceil((seconds / share) * (1 - share))} s left` : '';
  return `${step.name}  ${bar} ${Math.floor(share * 100)} %  ${amount} of ${total}${left}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
