/**
 * What follows each opcode of x86-64: a ModRM byte, an immediate. After Intel's SDM volume 2, appendix A (tables ), for 64-bit mode.
 */

/** The opcode is followed by a ModRM byte. */
export const HAS_MODRM = 8;
export const IS_PREFIX = 16;
/** No instruction in 64-bit mode. */
export const IS_INVALID = 32;

/** The immediate operand, in the low three bits. */
export const IMMEDIATE = 7;
/** One byte. */
export const BYTE = 1;
/** Two bytes. */
export const WORD = 2;
/** Four bytes, two with an operand-size prefix. */
export const FULL = 3;
/** As FULL, eight bytes with REX.W (mov), and the addresses of A0 to A3. */
export const WIDE = 4;
/** A distance of one byte. */
export const NEAR = 5;
/** A distance of four bytes. */
export const FAR = 6;
/** Three bytes (enter). */
export const ENTER = 7;

function table(lines: readonly (readonly [first: number, last: number, value: number])[]): Uint8Array {
  const values = new Uint8Array(256);
  for (const [first, last, value] of lines) values.fill(value, first, last + 1);
  return values;
}

function oneByteOpcodes(): Uint8Array {
  const values = table([
    [0x40, 0x4f, IS_PREFIX],
    [0x60, 0x61, IS_INVALID],
    [0x62, 0x62, IS_INVALID],
    [0x63, 0x63, HAS_MODRM],
    [0x64, 0x67, IS_PREFIX],
    [0x68, 0x68, FULL],
    [0x69, 0x69, HAS_MODRM | FULL],
    [0x6a, 0x6a, BYTE],
    [0x6b, 0x6b, HAS_MODRM | BYTE],
    [0x70, 0x7f, NEAR],
    [0x80, 0x80, HAS_MODRM | BYTE],
    [0x81, 0x81, HAS_MODRM | FULL],
    [0x82, 0x82, IS_INVALID],
    [0x83, 0x83, HAS_MODRM | BYTE],
    [0x84, 0x8f, HAS_MODRM],
    [0x9a, 0x9a, IS_INVALID],
    [0xa0, 0xa3, WIDE],
    [0xa8, 0xa8, BYTE],
    [0xa9, 0xa9, FULL],
    [0xb0, 0xb7, BYTE],
    [0xb8, 0xbf, WIDE],
    [0xc0, 0xc1, HAS_MODRM | BYTE],
    [0xc2, 0xc2, WORD],
    [0xc6, 0xc6, HAS_MODRM | BYTE],
    [0xc7, 0xc7, HAS_MODRM | FULL],
    [0xc8, 0xc8, ENTER],
    [0xca, 0xca, WORD],
    [0xcd, 0xcd, BYTE],
    [0xce, 0xce, IS_INVALID],
    [0xd0, 0xd3, HAS_MODRM],
    [0xd4, 0xd6, IS_INVALID],
    [0xd8, 0xdf, HAS_MODRM],
    [0xe0, 0xe3, NEAR],
    [0xe4, 0xe7, BYTE],
    [0xe8, 0xe9, FAR],
    [0xea, 0xea, IS_INVALID],
    [0xeb, 0xeb, NEAR],
    [0xf0, 0xf0, IS_PREFIX],
    [0xf2, 0xf3, IS_PREFIX],
    [0xf6, 0xf7, HAS_MODRM],
    [0xfe, 0xff, HAS_MODRM],
  ]);
  for (let row = 0; row < 0x40; row += 8) {
    values.fill(HAS_MODRM, row, row + 4);
    values[row + 4] = BYTE;
    values[row + 5] = FULL;
    values[row + 6] = IS_INVALID;
    values[row + 7] = IS_INVALID;
  }
  for (const segment of [0x26, 0x2e, 0x36, 0x3e]) values[segment] = IS_PREFIX;
  values[0x0f] = 0;
  return values;
}

/** Opcodes of one byte. 0F, C4, C5 and 62 begin longer ones. */
export const OPCODES = oneByteOpcodes();

/** Opcodes after 0F, and those of the first VEX and EVEX map. */
export const ESCAPED_OPCODES = table([
  [0x00, 0x03, HAS_MODRM],
  [0x04, 0x04, IS_INVALID],
  [0x0a, 0x0a, IS_INVALID],
  [0x0c, 0x0c, IS_INVALID],
  [0x0d, 0x0d, HAS_MODRM],
  [0x0f, 0x0f, HAS_MODRM | BYTE],
  [0x10, 0x23, HAS_MODRM],
  [0x24, 0x27, IS_INVALID],
  [0x28, 0x2f, HAS_MODRM],
  [0x36, 0x36, IS_INVALID],
  [0x39, 0x39, IS_INVALID],
  [0x3b, 0x3f, IS_INVALID],
  [0x40, 0x6f, HAS_MODRM],
  [0x70, 0x73, HAS_MODRM | BYTE],
  [0x74, 0x76, HAS_MODRM],
  [0x78, 0x7f, HAS_MODRM],
  [0x80, 0x8f, FAR],
  [0x90, 0x9f, HAS_MODRM],
  [0xa3, 0xa3, HAS_MODRM],
  [0xa4, 0xa4, HAS_MODRM | BYTE],
  [0xa5, 0xa5, HAS_MODRM],
  [0xa6, 0xa7, IS_INVALID],
  [0xab, 0xab, HAS_MODRM],
  [0xac, 0xac, HAS_MODRM | BYTE],
  [0xad, 0xb9, HAS_MODRM],
  [0xba, 0xba, HAS_MODRM | BYTE],
  [0xbb, 0xc1, HAS_MODRM],
  [0xc2, 0xc2, HAS_MODRM | BYTE],
  [0xc3, 0xc3, HAS_MODRM],
  [0xc4, 0xc6, HAS_MODRM | BYTE],
  [0xc7, 0xc7, HAS_MODRM],
  [0xd0, 0xff, HAS_MODRM],
]);
