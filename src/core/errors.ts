/**
 * The one error class of osupd. Every failure that a user can meet has a code; the code decides the exit status.
 */

/** Exit status of the command line for each error code (docs/cli.md has the table for users). */
export const EXIT_STATUS = {
  /** A defect in osupd itself; the message asks for a report. */
  internal: 1,
  /** The operating system refused a read or write for a reason that has no code of its own. */
  io: 1,
  /** A file changed or vanished while it was read. */
  'changed-while-read': 1,
  /** A dump text breaks a rule of the format. */
  'invalid-dump': 1,
  /** A tar archive breaks a rule of the format. */
  'invalid-tar': 1,
  /** A tree cannot be written as a metadata image, or layers do not fit together. */
  'invalid-tree': 1,
  /** A named limit of core/limits.ts was reached. */
  'limit-exceeded': 1,
  /** Interrupted by a signal or an AbortSignal. */
  interrupted: 1,
  /** Unknown command, option or value; also a configuration file that cannot be understood. */
  usage: 2,
  /** There is nothing to do (for `check`: no update). */
  'nothing-to-do': 3,
  /** A signature, expiry, digest or version check failed; or signed data is malformed. */
  'verification-failed': 4,
  /** A release, image, deployment, key or file does not exist. */
  'not-found': 5,
  /** A source could not be reached or read after retries. */
  network: 6,
  /** Not enough space; says how much is missing. */
  'no-space': 7,
  /** Another osupd holds the lock. */
  busy: 8,
  /** This kernel or file system cannot do it; says which feature. */
  unsupported: 9,
  /** A metadata image is not a valid composefs EROFS image. */
  'damaged-image': 10,
  /** An object or image in a pool is missing or does not have the content of its name. */
  'damaged-store': 10,
  /** A repository's files do not agree with each other. */
  'damaged-repository': 10,
  /** A delta file's bytes do not follow its format. */
  'damaged-delta': 10,
  /** Held back by the rollout. */
  'held-back': 11,
} as const;

export type ErrorCode = keyof typeof EXIT_STATUS;

export interface ErrorDetails {
  /** What the error is about: a path, a line, a digest, a URL. */
  readonly where?: string;
  /** One sentence that tells the user what to do. */
  readonly remedy?: string;
  /** Machine-readable facts, printed by `--json`. Values must be representable in JSON. */
  readonly facts?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** An error with a code from {@link EXIT_STATUS}. `message` says what is wrong and why, without the place. */
export class OsupdError extends Error {
  override readonly name = 'OsupdError';
  readonly code: ErrorCode;
  readonly where: string | undefined;
  readonly remedy: string | undefined;
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.where = details.where;
    this.remedy = details.remedy;
    this.facts = details.facts ?? {};
  }

  get exitStatus(): number {
    return EXIT_STATUS[this.code];
  }
}

/** True for an error that the operating system gave, with the given errno name (or any, without one). */
export function isSystemError(error: unknown, code?: string): error is NodeJS.ErrnoException {
  if (!(error instanceof Error)) return false;
  const found = (error as NodeJS.ErrnoException).code;
  return typeof found === 'string' && (code === undefined || found === code);
}

const SYSTEM_CODES: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'not-found',
  ENOTDIR: 'not-found',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  ENOSYS: 'unsupported',
  EOPNOTSUPP: 'unsupported',
  ABORT_ERR: 'interrupted',
};

const SYSTEM_REMEDIES: Readonly<Record<string, string>> = {
  EACCES: 'run it as root, or as the owner of this',
  ENOSPC: 'make room on this file system, then run it again',
  EDQUOT: 'make room within the quota, then run it again',
};

/**
 * Turns whatever was thrown into an OsupdError: one of ours stays as it is, a system error gets the code that fits its
 * errno, anything else is a defect (`internal`).
 */
export function toOsupdError(error: unknown, where?: string): OsupdError {
  if (error instanceof OsupdError) return error;
  const place = where === undefined ? {} : { where };
  if (isSystemError(error)) {
    const code = SYSTEM_CODES[error.code ?? ''] ?? (error.code?.startsWith('ERR_') ? 'internal' : 'io');
    const remedy = SYSTEM_REMEDIES[error.code ?? ''];
    // The runtime ends its text with the paths as they are, control characters and all; `where` says it better.
    return new OsupdError(code, error.message.replace(/^(\w+: [^']*, \w+) '.*$/s, '$1'), {
      ...(error.path ? { where: error.path } : {}),
      ...place,
      ...(remedy === undefined ? {} : { remedy }),
      cause: error,
    });
  }
  return new OsupdError('internal', error instanceof Error ? error.message : String(error), { ...place, cause: error });
}
