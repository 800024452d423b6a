/** One narrow interface for reading named things from a repository, wherever it is. Decorators add retry, mirrors and limits. */

export interface ReadRange {
  /** First byte, from 0. */
  readonly offset: number;
  /** Number of bytes. */
  readonly length: number;
}

export interface ReadOptions {
  /** Read these bytes only. A source that cannot serve ranges reads from the start and drops what comes before. */
  readonly range?: ReadRange;
  /** Refuse more than this many bytes: `verification-failed`. Always give it: it is what a signed file declared. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

/**
 * Reads things by their path relative to the source's root (`metadata/1.root.json`, `objects/ab/cdef….zst`).
 *
 * Contract, checked by one conformance suite for every implementation:
 * - `read` yields the bytes in order and ends exactly at the end of the thing or range. Chunks may be views of buffers that
 *   are reused after the next step: keep copies.
 * - A thing that does not exist: OsupdError `not-found`. Not reachable or cut short: `network`. Longer than `maxBytes`:
 *   `verification-failed`. Shorter than the range: `network`.
 * - Paths are relative, with `/`, never with `..` or empty parts.
 */
export interface Source {
  /** The source's root as people know it (a URL), for messages. */
  readonly location: string;
  read(path: string, options: ReadOptions): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}
