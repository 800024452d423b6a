/** Arrays of numbers that grow. */

/** Copies numbers to the beginning of a longer array. */
export function grown<Numbers extends Uint8Array | Uint32Array | Int32Array>(from: Numbers, to: Numbers): Numbers {
  to.set(from);
  return to;
}
