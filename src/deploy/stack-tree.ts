/** What the images of a stack show together. */
import { decodeImage } from '../image/read.ts';
import type { Pool } from '../objects/pool.ts';
import { applyLayer } from '../tree/layers.ts';
import type { Tree } from '../tree/tree.ts';
import type { DeployedImage } from './deployment-files.ts';

/**
 * The one tree that the images of a stack show together.
 * @param images the topmost first; one at least.
 * @throws OsupdError `not-found`, `damaged-store`, `damaged-image` for an image; `invalid-tree` for images that do not stack.
 */
export async function stackTree(pool: Pool, images: readonly DeployedImage[]): Promise<Tree> {
  let shown: Tree | undefined;
  for (const { digest } of [...images].reverse()) {
    const tree = decodeImage(await pool.readImage(digest), pool.imagePath(digest));
    shown = shown === undefined ? tree : applyLayer(shown, tree);
  }
  return shown as Tree;
}
