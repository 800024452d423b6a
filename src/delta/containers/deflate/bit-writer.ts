/** Writes bits in the order of deflate: the first is the lowest bit of the first byte. */
import type { CodeBits } from './read-stream.ts';

export class BitWriter {
  #bytes = new Uint8Array(1 << 12);
  #length = 0;
  #held = 0;
  #heldBits = 0;

  /** @param count up to 16 bits */
  write(value: number, count: number): void {
    this.#held |= value << this.#heldBits;
    this.#heldBits += count;
    while (this.#heldBits >= 8) {
      this.#push(this.#held & 0xff);
      this.#held >>>= 8;
      this.#heldBits -= 8;
    }
  }

  writeBits({ bytes, bits }: CodeBits): void {
    const whole = bits >> 3;
    for (let at = 0; at < whole; at++) this.write(bytes[at] as number, 8);
    if ((bits & 7) !== 0) this.write((bytes[whole] as number) & ((1 << (bits & 7)) - 1), bits & 7);
  }

  /** Fills the last byte with zeros. */
  align(): void {
    if (this.#heldBits > 0) this.write(0, 8 - this.#heldBits);
  }

  /** At a byte's boundary. */
  writeBytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** What was written, but for bits that do not fill a byte yet; those stay for the next call. */
  takeBytes(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  /** All bits so far, which the next write may overwrite. */
  toBits(): CodeBits {
    const bits = 8 * this.#length + this.#heldBits;
    const bytes = new Uint8Array((bits + 7) >> 3);
    bytes.set(this.#bytes.subarray(0, this.#length));
    if (this.#heldBits > 0) bytes[this.#length] = this.#held;
    return { bytes, bits };
  }

  #push(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = byte;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + count));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}
