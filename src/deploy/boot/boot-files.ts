/** The kernel and the initrd in an image's tree: what goes to the boot partition. */
import { type ByteString, fromText, toText } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { OsupdError } from '../../core/errors.ts';
import { fsverityDigest } from '../../objects/fsverity.ts';
import type { BootFiles } from '../../repository/release.ts';
import { type DirectoryNode, type FileNode, nodeOf, type Tree } from '../../tree/tree.ts';

/** One file of a tree that a boot loader reads. */
export interface BootFile {
  /** Absolute path in the tree. */
  readonly path: string;
  readonly digest: Digest;
  readonly size: number;
  /** For a file that is small enough to be kept in the image; else it is an object of the pool. */
  readonly content?: Uint8Array;
}

export interface BootFilesOfImage {
  /** A Linux kernel, or a unified kernel image when its name ends in `.efi`. */
  readonly kernel: BootFile;
  /** None for a unified kernel image, which has its own. */
  readonly initrd?: BootFile;
  /** The kernel's version, from the names of the files; empty where they do not say it. */
  readonly version: string;
}

/** Where distributions keep kernels by version, with the places of the initrd that belongs to each. VERSION stands for the version. */
const MODULES = 'usr/lib/modules';
const PLACES: readonly { readonly kernel: string; readonly initrds: readonly string[] }[] = [
  {
    kernel: `${MODULES}/VERSION/vmlinuz`,
    initrds: [`${MODULES}/VERSION/initrd`, `${MODULES}/VERSION/initramfs.img`, 'boot/initrd.img-VERSION'],
  },
  { kernel: 'boot/vmlinuz-VERSION', initrds: ['boot/initrd.img-VERSION', 'boot/initramfs-VERSION.img'] },
];

/** How many symbolic links on the way to a file are followed, as the kernel does. */
const MAX_LINKS = 40;

/**
 * Finds the kernel and the initrd of a system: the files that the release names, else `usr/lib/modules/VERSION/vmlinuz` (with
 * `initrd` or `initramfs.img` beside it, or `boot/initrd.img-VERSION`), else `boot/vmlinuz-VERSION` with
 * `boot/initrd.img-VERSION`. Of several kernels the one with the highest version is taken.
 *
 * @param release paths that the release gives, relative to the root or absolute.
 * @throws OsupdError `not-found` when there is none, or none where the release says.
 */
export function findBootFiles(tree: Tree, release?: BootFiles): BootFilesOfImage {
  if (release !== undefined) {
    const kernel = requireFile(tree, release.kernel, 'kernel');
    const version = versionIn(release.kernel);
    if (release.initrd === undefined) return { kernel, version };
    return { kernel, initrd: requireFile(tree, release.initrd, 'initrd'), version };
  }
  for (const { kernel: place, initrds } of PLACES) {
    for (const version of versionsAt(tree, place)) {
      const at = (template: string) => fileAt(tree, template.replace('VERSION', version));
      const kernel = at(place);
      if (kernel === undefined) continue;
      const initrd = initrds.map(at).find((found) => found !== undefined);
      return { kernel, ...(initrd === undefined ? {} : { initrd }), version };
    }
  }
  throw new OsupdError('not-found', 'the image has no kernel', {
    where: PLACES.map(({ kernel }) => kernel).join(', '),
    remedy: 'put a kernel there, or name it with osupd build --kernel',
  });
}

/** True for a unified kernel image (https://uapi-group.org/specifications/specs/unified_kernel_image/). */
export function isUnifiedKernel({ path }: BootFile): boolean {
  return path.toLowerCase().endsWith('.efi');
}

function requireFile(tree: Tree, path: string, what: string): BootFile {
  const file = fileAt(tree, path);
  if (file !== undefined) return file;
  throw new OsupdError('not-found', `the image has no file at the place of the ${what} that its release names`, {
    where: path,
    remedy: `build the release again with the right --${what}`,
  });
}

/** Versions for which the tree may have a kernel at this place, the highest first. */
function versionsAt(tree: Tree, place: string): string[] {
  const [before = '', after = ''] = place.split('VERSION');
  const slash = before.lastIndexOf('/');
  const directory = resolvePath(tree, before.slice(0, slash));
  if (directory?.type !== 'directory') return [];
  const prefix = before.slice(slash + 1);
  const names = [...directory.children.keys()].map(toText).filter((name) => name.startsWith(prefix));
  const versions = names.map((name) => name.slice(prefix.length)).filter((name) => /^[\w.+~-]+$/.test(name));
  return after === '' || after.startsWith('/') ? versions.sort(compareKernels) : [];
}

/** Runs of digits compare as numbers, so that 6.10 is after 6.9; the higher first. */
function compareKernels(a: string, b: string): number {
  return b.localeCompare(a, 'en', { numeric: true });
}

function versionIn(path: string): string {
  const parts = path.split('/').filter(Boolean);
  const modules = parts.indexOf('modules');
  if (modules >= 0 && modules + 2 < parts.length) return parts[modules + 1] ?? '';
  return /^(?:vmlinuz|vmlinux|linux)-(.+?)(?:\.efi)?$/.exec(parts.at(-1) ?? '')?.[1] ?? '';
}

/** A file in a tree, through symbolic links too; undefined where there is none. */
export function fileAt(tree: Tree, path: string): BootFile | undefined {
  const node = resolvePath(tree, path);
  if (node?.type !== 'file' || node.size === 0) return undefined;
  const place = `/${path.replace(/^\/+/, '')}`;
  if (node.content !== undefined)
    return { path: place, digest: fsverityDigest(node.content), size: node.size, content: node.content };
  return node.digest === undefined ? undefined : { path: place, digest: node.digest, size: node.size };
}

/** What a path in a tree leads to, through symbolic links too. */
function resolvePath(tree: Tree, path: string): DirectoryNode | FileNode | undefined {
  const waiting: ByteString[] = fromText(path).split('/').reverse();
  const parents: DirectoryNode[] = [];
  let links = 0;
  let node: DirectoryNode = tree.root;
  for (;;) {
    const name = waiting.pop();
    if (name === undefined) return node;
    if (name === '' || name === '.') continue;
    if (name === '..') {
      node = parents.pop() ?? tree.root;
      continue;
    }
    const entry = node.children.get(name);
    const child = entry === undefined ? undefined : nodeOf(entry);
    if (child?.type === 'directory') {
      parents.push(node);
      node = child;
    } else if (child?.type === 'symlink' && ++links <= MAX_LINKS) {
      if (child.target.startsWith('/')) {
        parents.length = 0;
        node = tree.root;
      }
      waiting.push(...child.target.split('/').reverse());
    } else {
      return child?.type === 'file' && waiting.every((rest) => rest === '') ? child : undefined;
    }
  }
}
