/** The release manifest: a signed statement that an image is a version of a name (docs/formats/repository.md). */

import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import { MAX_FILE_BYTES, MAX_IMAGE_BYTES, MAX_MANIFEST_ENTRIES, MAX_TREE_NODES } from '../core/limits.ts';
import { sha256Of } from '../core/sha256.ts';
import { encodeDocument, type JsonFields, parseDocument } from './json-fields.ts';
import { isName, isVersion } from './layout.ts';

/** A file of the repository, vouched for by the document that holds this. */
export interface StoredFile {
  readonly length: number;
  /** SHA-256 of the whole file, hexadecimal. */
  readonly sha256: string;
}

/** True for the bytes that the manifest means. */
export function isStored(bytes: Uint8Array, { length, sha256 }: StoredFile): boolean {
  return bytes.length === length && sha256Of(bytes) === sha256;
}

/** What a boot entry needs: paths within the tree, and kernel arguments. */
export interface BootFiles {
  readonly kernel: string;
  readonly initrd?: string;
  readonly arguments?: string;
}

/** What a build may say beyond the image itself; a release repeats it. */
export interface ReleaseExtras {
  readonly boot?: BootFiles;
  /** Version ranges of other names that this release needs. */
  readonly requires?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export const EXTRA_FIELDS = ['boot', 'requires', 'annotations'];

export interface Release extends ReleaseExtras {
  readonly schema: 'osupd-release/1';
  readonly name: string;
  readonly version: string;
  /** As `uname -m` says it, or `any`. */
  readonly architecture: string;
  /** When the image was built: UTC, `2030-01-31T23:59:59Z`. */
  readonly createdAt: string;
  /** The metadata image, and its compressed file `images/DIGEST.zst`. */
  readonly image: { readonly digest: Digest; readonly size: number; readonly stored: StoredFile };
  /** The image's distinct objects: how many, their bytes, and the file `sizes/DIGEST.zst` (object-sizes.ts). */
  readonly objects: { readonly count: number; readonly bytes: number; readonly sizes: StoredFile };
}

const FIELDS = ['schema', 'critical', 'name', 'version', 'architecture', 'createdAt', 'image', 'objects'];

/**
 * Parses a release manifest.
 * @param where what the bytes are, for messages
 * @throws OsupdError `verification-failed`
 */
export function parseRelease(bytes: Uint8Array, where: string): Release {
  const fields = parseDocument(
    bytes,
    'osupd-release/1',
    [...FIELDS, ...EXTRA_FIELDS],
    (what) => new OsupdError('verification-failed', `not a valid release: ${what}`, { where }),
  );
  const image = fields.object('image');
  const objects = fields.object('objects');
  return {
    schema: 'osupd-release/1',
    name: fields.string('name', isName),
    version: fields.string('version', isVersion),
    architecture: fields.string('architecture', isArchitecture),
    createdAt: fields.time('createdAt'),
    image: {
      digest: image.digest('digest'),
      size: image.integer('size', 1, MAX_IMAGE_BYTES),
      stored: parseStoredFile(image.object('stored')),
    },
    objects: {
      count: objects.integer('count', 0, MAX_TREE_NODES),
      bytes: objects.integer('bytes'),
      sizes: parseStoredFile(objects.object('sizes')),
    },
    ...parseReleaseExtras(fields),
  };
}

/** The bytes of a manifest; the same release gives the same bytes. */
export function encodeRelease(release: Release): Buffer {
  const { schema, name, version, architecture, createdAt, image, objects, boot, requires, annotations } = release;
  return encodeDocument({
    ...{ schema, name, version, architecture, createdAt, image, objects },
    ...{ boot, requires, annotations },
  });
}

/** True for an architecture: `x86_64`, `aarch64`, … or `any`. */
export function isArchitecture(text: string): boolean {
  return /^[a-z0-9][a-z0-9_-]{0,31}$/.test(text);
}

function parseStoredFile(fields: JsonFields): StoredFile {
  return { length: fields.integer('length', 1, MAX_FILE_BYTES - 1), sha256: fields.sha256('sha256') };
}

/** The optional fields that build records and releases share. */
export function parseReleaseExtras(fields: JsonFields): ReleaseExtras {
  return {
    ...(fields.has('boot') ? { boot: parseBoot(fields.object('boot')) } : {}),
    ...(fields.has('requires') ? { requires: fields.texts('requires', isName, MAX_MANIFEST_ENTRIES) } : {}),
    ...(fields.has('annotations')
      ? { annotations: fields.texts('annotations', (key) => key.length <= 256, MAX_MANIFEST_ENTRIES) }
      : {}),
  };
}

function parseBoot(fields: JsonFields): BootFiles {
  return {
    kernel: fields.string('kernel'),
    ...(fields.has('initrd') ? { initrd: fields.string('initrd') } : {}),
    ...(fields.has('arguments') ? { arguments: fields.string('arguments') } : {}),
  };
}
