/** The files that a new system has of its own: what it follows, and where its boot partition is mounted. */
import { stringify } from 'smol-toml';
import { fromText } from '../core/bytes.ts';
import { OsupdError } from '../core/errors.ts';
import { parseConfiguration } from '../deploy/configuration-file.ts';
import { nodeOf, type Tree } from '../tree/tree.ts';

/** Mountpoints of the ESP, as `findBootDirectory` has them. */
const ESP_PLACES: readonly string[] = ['efi', 'boot/efi', 'boot'];

export interface FollowedRepository {
  readonly url: readonly string[];
  readonly channel: string;
  readonly stack: string;
  /** The topmost first; undefined: found in the channel. */
  readonly images?: readonly string[];
}

/**
 * The text of /etc/osupd/osupd.toml.
 * @param words kernel arguments of this device, `root=` among them.
 * @throws OsupdError `usage` for a value that cannot be in a configuration.
 */
export function systemConfiguration(
  { url, channel, stack, images }: FollowedRepository,
  words: readonly string[],
): string {
  const values = {
    url: url.length === 1 ? (url[0] ?? '') : [...url],
    channel,
    boot: { arguments: [...words] },
    stack: { [stack]: { mountpoint: '/', ...(images === undefined ? {} : { images: [...images] }), switch: 'boot' } },
  };
  const text = `# Written by osupd install; docs/deployments.md explains every key.\n${stringify(values)}\n`;
  parseConfiguration(text, 'the command line');
  return text;
}

/**
 * The text of /etc/fstab. The state file system is mounted by the initramfs, and the system starts without its boot partition, too:
 * a FAT may be damaged by a power cut.
 * @throws OsupdError `not-found` for an image without a directory for the ESP.
 */
export function fileSystemTable(tree: Tree, espUuid: string): string {
  const place = ESP_PLACES.find((path) => isDirectory(tree, path));
  if (place === undefined) {
    throw new OsupdError('not-found', 'the image has no directory where the EFI system partition can be mounted', {
      where: ESP_PLACES.map((path) => `/${path}`).join(', '),
      remedy: 'make a directory /efi in the tree and build the image again',
    });
  }
  const options = 'umask=0077,nofail,x-systemd.before=osupd-mark-good.service';
  return [
    '# Written by osupd install. What is not here comes with the system: / and /etc are mounted by the initramfs.',
    `PARTUUID=${espUuid.toLowerCase()} /${place} vfat ${options} 0 2`,
    '',
  ].join('\n');
}

function isDirectory(tree: Tree, path: string): boolean {
  let node = tree.root;
  for (const name of path.split('/')) {
    const entry = node.children.get(fromText(name));
    const child = entry === undefined ? undefined : nodeOf(entry);
    if (child?.type !== 'directory') return false;
    node = child;
  }
  return true;
}
