/** All programs that are measured. A new one is added here, and nowhere else. */
import type { Peer } from './peer.ts';
import { bsdiff } from './peers/bsdiff.ts';
import { casync } from './peers/casync.ts';
import { ostree } from './peers/ostree.ts';
import { osupd } from './peers/osupd.ts';
import { xdelta3 } from './peers/xdelta3.ts';
import { zstd } from './peers/zstd.ts';

/** Times are given as ratios to this one's. */
export const REFERENCE = ostree.name;

/** In the order in which they are measured: what is compared most comes close together. */
export function allPeers(osupdProgram: string): readonly Peer[] {
  return [ostree, osupd(osupdProgram), osupd(osupdProgram, 1), osupd(osupdProgram, 9), bsdiff, casync, xdelta3, zstd];
}
