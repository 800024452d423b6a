/** Progress as events: library code reports, src/cli decides how it looks. */

export type ProgressEvent =
  /** A named step began; `total` is in `unit`s, when it is known. */
  | { readonly kind: 'start'; readonly step: string; readonly total?: number; readonly unit: 'bytes' | 'items' }
  /** `done` units of the current step, counted from its start. */
  | { readonly kind: 'advance'; readonly step: string; readonly done: number }
  | { readonly kind: 'finish'; readonly step: string; readonly done: number }
  /** Something the user should read although nothing failed. */
  | { readonly kind: 'note'; readonly text: string };

export type Progress = (event: ProgressEvent) => void;

/** For callers that do not care. */
export const noProgress: Progress = () => {};
