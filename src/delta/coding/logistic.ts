/**
 * The logistic function and its inverse in tables of integers. Mixing happens in its domain, as in paq and lpaq (M. Mahoney): a number x
 * stands for the odds e^(x/256).
 */

/** Numbers of the logistic domain are from -LOGISTIC_LIMIT to LOGISTIC_LIMIT. */
export const LOGISTIC_LIMIT = 2816;

/** 65536 / (1 + e^(-x/256)) for x of 0, 128, 256, ... 2816; straight lines between them. */
const ANCHORS = [
  32768, 40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476, 65500, 65514,
  65523, 65528, 65531, 65533, 65534, 65535,
];
const ANCHOR_DISTANCE = 128;

function squash(x: number): number {
  if (x < 0) return 65536 - squash(-x);
  const anchor = Math.floor(x / ANCHOR_DISTANCE);
  const rest = x - anchor * ANCHOR_DISTANCE;
  const low = ANCHORS[anchor]!;
  return low + Math.floor((((ANCHORS[anchor + 1] ?? low) - low) * rest) / ANCHOR_DISTANCE);
}

/** The probability in 1/65536, from 1 to 65535, for x + LOGISTIC_LIMIT. */
export const SQUASH = Uint16Array.from({ length: 2 * LOGISTIC_LIMIT + 1 }, (_, at) => squash(at - LOGISTIC_LIMIT));

/** The least x whose probability in 1/4096, rounded down, is not below the index. */
export const STRETCH = new Int16Array(4096);
for (let x = -LOGISTIC_LIMIT, next = 0; next < STRETCH.length; x++) {
  const most = x >= LOGISTIC_LIMIT ? STRETCH.length - 1 : SQUASH[x + LOGISTIC_LIMIT]! >>> 4;
  while (next <= most) STRETCH[next++] = x;
}
