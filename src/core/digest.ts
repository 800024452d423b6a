/** Digests as lower-case hexadecimal text, the form that paths, manifests and messages use. */
import { OsupdError } from './errors.ts';

/** 64 lower-case hexadecimal digits: an fs-verity SHA-256 digest (of an object or an image). */
export type Digest = string & { readonly __digest: true };

const PATTERN = /^[0-9a-f]{64}$/;

export function isDigest(text: string): text is Digest {
  return PATTERN.test(text);
}

/**
 * Checks that `text` is a digest.
 * @throws OsupdError `usage` when it is not; callers with untrusted input check with {@link isDigest} and throw their own.
 */
export function asDigest(text: string, where?: string): Digest {
  if (isDigest(text)) return text;
  throw new OsupdError('usage', `"${text.slice(0, 80)}" is not a digest (64 lower-case hexadecimal digits)`, {
    ...(where === undefined ? {} : { where }),
  });
}

/** The digest of 32 raw bytes. */
export function digestFromBytes(bytes: Uint8Array): Digest {
  if (bytes.length !== 32) throw new RangeError(`a digest has 32 bytes, not ${bytes.length}`);
  return Buffer.from(bytes.buffer, bytes.byteOffset, 32).toString('hex') as Digest;
}

/** The 32 raw bytes of a digest. */
export function digestToBytes(digest: Digest): Buffer {
  return Buffer.from(digest, 'hex');
}

/** Path of an object below `objects/`, as composefs lays it out: `ab/cdef…`. */
export function objectName(digest: Digest): string {
  return `${digest.slice(0, 2)}/${digest.slice(2)}`;
}
