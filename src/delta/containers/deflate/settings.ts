/** What a compressor of the zlib family was told: level, memory and the few points in which gzip and zlib differ. */

export interface Settings {
  /** 1 to 9. */
  readonly level: number;
  /** Bits of the hash of three bytes: 15 in gzip and in zlib's default. */
  readonly hashBits: number;
  /** A block has at most so many tokens. */
  readonly blockTokens: number;
  /** The program gzip: it ends a block early where matches are few and short, and stops its search near the end of some files. */
  readonly isGzip: boolean;
}

/** How hard a level searches (the configuration table that zlib and gzip share). */
export interface Effort {
  /** A match of this length makes the next search four times shorter. */
  readonly good: number;
  /** A match of this length is taken at once; where the parser is not lazy: the longest whose inner positions are noted. */
  readonly lazy: number;
  /** A match of this length ends the search. */
  readonly nice: number;
  /** So many earlier places are looked at. */
  readonly chain: number;
  /** Whether a longer match one byte later is preferred. */
  readonly isLazy: boolean;
}

const EFFORTS: readonly Effort[] = [
  { good: 4, lazy: 4, nice: 8, chain: 4, isLazy: false },
  { good: 4, lazy: 5, nice: 16, chain: 8, isLazy: false },
  { good: 4, lazy: 6, nice: 32, chain: 32, isLazy: false },
  { good: 4, lazy: 4, nice: 16, chain: 16, isLazy: true },
  { good: 8, lazy: 16, nice: 32, chain: 32, isLazy: true },
  { good: 8, lazy: 16, nice: 128, chain: 128, isLazy: true },
  { good: 8, lazy: 32, nice: 128, chain: 256, isLazy: true },
  { good: 32, lazy: 128, nice: 258, chain: 1024, isLazy: true },
  { good: 32, lazy: 258, nice: 258, chain: 4096, isLazy: true },
];

/** The families: gzip, zlib with its default memory, zlib with the most. */
const FAMILIES: readonly Omit<Settings, 'level'>[] = [
  { hashBits: 15, blockTokens: 0x7fff, isGzip: true },
  { hashBits: 15, blockTokens: 0x3fff, isGzip: false },
  { hashBits: 16, blockTokens: 0x7fff, isGzip: false },
];

export const SETTINGS_COUNT = FAMILIES.length * EFFORTS.length;

/** Settings by their number in a stored form: 0 to {@link SETTINGS_COUNT} - 1. */
export function settingsOf(number: number): Settings {
  const family = FAMILIES[Math.floor(number / EFFORTS.length)] as Omit<Settings, 'level'>;
  return { level: (number % EFFORTS.length) + 1, ...family };
}

export function effortOf({ level }: Settings): Effort {
  return EFFORTS[level - 1] as Effort;
}
