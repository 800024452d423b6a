/** The images that deployments name. */
import type { Digest } from '../../core/digest.ts';
import { OsupdError } from '../../core/errors.ts';
import { listDeploymentIds, readDeployment } from '../deployment.ts';
import type { DeviceRoot } from '../device.ts';

/** Images of all deployments whose files can be read. */
export function deployedImages(device: DeviceRoot): Set<Digest> {
  const images = new Set<Digest>();
  for (const stack of device.stacks()) {
    for (const id of listDeploymentIds(device, stack)) {
      try {
        for (const { digest } of readDeployment(device, stack, id).images) images.add(digest);
      } catch (error) {
        // A damaged one is told of by checkDevice; another osupd may remove one at any time.
        if (!(error instanceof OsupdError) || (error.code !== 'damaged-store' && error.code !== 'not-found'))
          throw error;
      }
    }
  }
  return images;
}
