/**
 * The fs-verity digest of a file's content: SHA-256, blocks of 4096 bytes, no salt, as the kernel measures it and as
 * composefs names objects (Linux: Documentation/filesystems/fsverity.rst, "Merkle tree" and "fs-verity descriptor").
 *
 * Content is cut into blocks, the last one padded with zeros; their hashes, in blocks again, are the next level; and so on
 * until one hash is left, the root. The digest is SHA-256 of a descriptor that holds the root hash and the size.
 */
import { type Digest, digestFromBytes } from '../core/digest.ts';
import { type HashBlock, hashBlock } from './sha256.ts';

const BLOCK = 4096;
const HASH = 32;

const DESCRIPTOR_BYTES = 256;
const DESCRIPTOR_SIZE_OFFSET = 8;
const DESCRIPTOR_ROOT_OFFSET = 16;

/** The digest of content that is in memory as a whole. */
export function fsverityDigest(bytes: Uint8Array): Digest {
  const hasher = new FsverityHasher();
  hasher.update(bytes);
  return hasher.digest();
}

/** Computes the digest of content that comes in chunks of any size; needs one block of memory for each level of the tree. */
export class FsverityHasher {
  readonly #hash: HashBlock;
  /** Levels of hashes above the data, each with the block that is being filled. */
  readonly #levels: Level[] = [];
  /** The last data block, while it is not full. */
  readonly #partial = Buffer.alloc(BLOCK);
  #partialLength = 0;
  #size = 0;

  /** @param hash the block hash; the fastest one by default. */
  constructor(hash: HashBlock = hashBlock) {
    this.#hash = hash;
  }

  /** Bytes hashed so far. */
  get size(): number {
    return this.#size;
  }

  update(chunk: Uint8Array): void {
    this.#size += chunk.length;
    let at = 0;
    if (this.#partialLength > 0) {
      at = Math.min(chunk.length, BLOCK - this.#partialLength);
      this.#partial.set(chunk.subarray(0, at), this.#partialLength);
      this.#partialLength += at;
      if (this.#partialLength < BLOCK) return;
      this.#add(this.#partial, 0);
      this.#partialLength = 0;
    }
    for (; at + BLOCK <= chunk.length; at += BLOCK) this.#add(chunk.subarray(at, at + BLOCK), 0);
    if (at < chunk.length) {
      this.#partial.set(chunk.subarray(at), 0);
      this.#partialLength = chunk.length - at;
    }
  }

  /** The digest of everything given to {@link update}. The hasher must not be used afterwards. */
  digest(): Digest {
    if (this.#partialLength > 0) this.#add(this.#partial.fill(0, this.#partialLength), 0);
    const descriptor = Buffer.alloc(DESCRIPTOR_BYTES);
    // Version 1, hash algorithm 1 (SHA-256), 2^12 bytes a block; no salt, no signature.
    descriptor.set([1, 1, 12]);
    descriptor.writeBigUInt64LE(BigInt(this.#size), DESCRIPTOR_SIZE_OFFSET);
    // The root hash of an empty file is all zeros, not the hash of anything.
    if (this.#size > 0) this.#finishLevels().copy(descriptor, DESCRIPTOR_ROOT_OFFSET, 0, HASH);
    const digest = Buffer.alloc(HASH);
    this.#hash(descriptor, digest, 0);
    return digestFromBytes(digest);
  }

  /** Hashes a full block into level `index`; a level that becomes full is hashed into the one above when more follows. */
  #add(block: Uint8Array, index: number): void {
    const level = this.#levels[index] ?? { block: Buffer.alloc(BLOCK), length: 0 };
    this.#levels[index] = level;
    if (level.length === BLOCK) {
      this.#add(level.block, index + 1);
      level.length = 0;
    }
    this.#hash(block, level.block, level.length);
    level.length += HASH;
  }

  /** Closes the levels from the bottom up; returns a buffer that starts with the root hash. */
  #finishLevels(): Buffer {
    for (let index = 0; ; index++) {
      const level = this.#levels[index]!;
      if (level.length === HASH && index === this.#levels.length - 1) return level.block;
      this.#add(level.block.fill(0, level.length), index + 1);
    }
  }
}

interface Level {
  readonly block: Buffer;
  /** Bytes of `block` that hold hashes. */
  length: number;
}
