/** One narrow interface for reading named things from a repository, wherever it is. Decorators add retry, mirrors and limits. */
import { OsupdError } from '../core/errors.ts';

export interface ReadRange {
  /** First byte, from 0. */
  readonly offset: number;
  /** Number of bytes; Infinity: to the end, whatever its size. */
  readonly length: number;
}

/**
 * Shared by several reads that must see the same version of one thing. A source that can tell versions apart (HTTP: by
 * ETag) notes the version at the first read and refuses another one at later reads: `network`.
 */
export interface Version {
  etag?: string;
}

export interface ReadOptions {
  /** Read these bytes only. A source that cannot serve ranges reads from the start and drops what comes before. */
  readonly range?: ReadRange;
  /** Refuse more than this many bytes: `verification-failed`. Always give it: it is what a signed file declared. */
  readonly maxBytes: number;
  readonly version?: Version;
  readonly signal?: AbortSignal;
}

/**
 * Reads things by their path relative to the source's root (`metadata/1.root.json`, `objects/ab/cdef….zst`).
 *
 * Contract, checked by one conformance suite for every implementation:
 * - `read` yields the bytes in order and ends exactly at the end of the thing or range. Chunks may be views of buffers that
 *   are reused after the next step: keep copies.
 * - A thing that does not exist: OsupdError `not-found`. Not reachable or cut short: `network`. Longer than `maxBytes`:
 *   `verification-failed`. Shorter than the range: `network`. Stopped by the signal: `interrupted`.
 * - An error `network` has `facts.transient` false where trying again cannot help (a bad certificate), else true.
 * - Paths are relative, with `/`, never with `..` or empty parts.
 */
export interface Source {
  /** The source's root as people know it (a URL), for messages. */
  readonly location: string;
  read(path: string, options: ReadOptions): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** Checks a path against the contract; a path that breaks it is a defect of the caller. @throws OsupdError `internal` */
export function checkPath(path: string): void {
  const parts = path.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..' || part.includes('\0'))) {
    throw new OsupdError('internal', `"${path}" is not a path in a source`);
  }
}

/** The place of a thing for messages. */
export function placeOf(source: Source, path: string): string {
  return `${source.location.replace(/\/$/, '')}/${path}`;
}

/** An error `network`. `transient`: trying again may help. */
export function networkError(
  message: string,
  where: string,
  options: { transient: boolean; facts?: Readonly<Record<string, unknown>>; cause?: unknown; remedy?: string },
): OsupdError {
  const { transient, facts, cause, remedy } = options;
  return new OsupdError('network', message, {
    where,
    facts: { ...facts, transient },
    ...(cause === undefined ? {} : { cause }),
    ...(remedy === undefined ? {} : { remedy }),
  });
}

/** True for a failure that another attempt, or another mirror, may not have. */
export function isTransient(error: unknown): error is OsupdError {
  return error instanceof OsupdError && error.code === 'network' && error.facts.transient !== false;
}

export function tooLong(maxBytes: number, where: string): OsupdError {
  return new OsupdError('verification-failed', `it is longer than the ${maxBytes} bytes that it may have`, {
    where,
    remedy: 'the server sends something else than what was signed: ask its operator',
    facts: { maxBytes },
  });
}

export function stopped(signal: AbortSignal): OsupdError {
  if (signal.reason instanceof OsupdError) return signal.reason;
  return new OsupdError('interrupted', 'interrupted', { remedy: 'run the command again to go on' });
}
