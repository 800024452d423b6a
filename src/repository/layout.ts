/**
 * Where things are in a repository: paths relative to its root, with `/`, the same on disk and over HTTP
 * (docs/formats/repository.md). Target names are what TUF signs; the stored file has its SHA-256 in the file name.
 */
import { type Digest, objectName } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';

/** A release by its name and version, written `NAME@VERSION`. */
export interface ReleaseReference {
  readonly name: string;
  readonly version: string;
}

const NAME = /^[a-z0-9][a-z0-9._+-]{0,63}$/;
const VERSION = /^[0-9A-Za-z][0-9A-Za-z._+~-]{0,127}$/;

/** True for a release or channel name: lower-case letters, digits, `.`, `_`, `+`, `-`; at most 64, no sign in front. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

/** True for a version: letters, digits, `.`, `_`, `+`, `~`, `-`; at most 128, no sign in front. */
export function isVersion(text: string): boolean {
  return VERSION.test(text);
}

/**
 * Parses `NAME@VERSION`.
 * @throws OsupdError `usage`
 */
export function parseReleaseReference(text: string): ReleaseReference {
  const at = text.indexOf('@');
  const name = text.slice(0, Math.max(at, 0));
  const version = text.slice(at + 1);
  if (at < 0 || !isName(name) || !isVersion(version)) {
    throw new OsupdError('usage', `"${text.slice(0, 200)}" is not a release`, {
      remedy: 'write it as NAME@VERSION, for example os@1.2',
    });
  }
  return { name, version };
}

/**
 * Checks a channel name.
 * @throws OsupdError `usage`
 */
export function checkChannelName(text: string): string {
  if (isName(text)) return text;
  throw new OsupdError('usage', `"${text.slice(0, 200)}" is not a channel name`, {
    remedy: 'use at most 64 lower-case letters, digits, ".", "_", "+" and "-"',
  });
}

export const TIMESTAMP_PATH = 'metadata/timestamp.json';

/** The file of one version of a TUF role; timestamp has {@link TIMESTAMP_PATH}. */
export function metadataPath(role: string, version: number): string {
  return `metadata/${version}.${role}.json`;
}

export function releaseTarget({ name, version }: ReleaseReference): string {
  return `releases/${name}/${version}.json`;
}

export function channelTarget(channel: string): string {
  return `channels/${channel}.json`;
}

/** The index of the deltas that lead to an image. */
export function deltaIndexTarget(image: Digest): string {
  return `deltas/${image}.json`;
}

/** The file of a target: consistent snapshots put its SHA-256 (hex) before the last part of the name. */
export function targetPath(target: string, sha256: string): string {
  const at = target.lastIndexOf('/') + 1;
  return `targets/${target.slice(0, at)}${sha256}.${target.slice(at)}`;
}

export function objectPath(digest: Digest): string {
  return `objects/${objectName(digest)}.zst`;
}

export function imagePath(digest: Digest): string {
  return `images/${digest}.zst`;
}

/** The stored sizes of an image's objects (object-sizes.ts). */
export function objectSizesPath(image: Digest): string {
  return `sizes/${image}.zst`;
}

/** The file of a delta, named by the SHA-256 (hex) of its head. */
export function deltaPath(headSha256: string): string {
  return `deltas/${headSha256.slice(0, 32)}.osd`;
}
