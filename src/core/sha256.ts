/** SHA-256 of bytes at hand, as documents and metadata write it. Objects and images have fs-verity digests (objects/fsverity.ts). */
import { createHash } from 'node:crypto';

/** 64 lower-case hexadecimal digits. */
export function sha256Of(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
