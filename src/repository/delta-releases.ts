/** The releases that a delta leads from and to. */
import type { DeltaImage } from '../delta/write.ts';
import { decodeImage } from '../image/read.ts';
import { readReleaseImage } from './contents.ts';
import { imagePath, type ReleaseReference } from './layout.ts';
import { type PublishedTargets, requirePublished } from './publish.ts';
import type { Release } from './release.ts';

/** @throws OsupdError `not-found` for one that is not published. */
export async function findReleases(
  targets: PublishedTargets,
  references: readonly ReleaseReference[],
): Promise<Release[]> {
  const releases: Release[] = [];
  for (const reference of references) releases.push(await requirePublished(targets, reference));
  return releases;
}

/** @throws OsupdError `damaged-repository`, `damaged-image`. */
export async function readImages(directory: string, releases: readonly Release[]): Promise<DeltaImage[]> {
  const images: DeltaImage[] = [];
  for (const release of releases) {
    const { digest } = release.image;
    const bytes = await readReleaseImage(directory, release);
    images.push({ digest, bytes, tree: decodeImage(bytes, imagePath(digest)) });
  }
  return images;
}
