/** All kinds of files that are taken apart. The codec `unpacked` names them by their number here: another list is another codec. */

import { archives } from './archives.ts';
import { bzImage } from './bzimage.ts';
import type { AnyContainer } from './container.ts';
import { gzip } from './gzip.ts';

export const CONTAINERS: readonly AnyContainer[] = [gzip, bzImage, archives];
