/**
 * The files of one deployment (docs/deployments.md): `stack`, which a POSIX shell can read, `deployment.json` for
 * programs, and `arguments` for the kernel's command line.
 */

import { type Digest, isDigest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import { MAX_KERNEL_ARGUMENTS, MAX_STACK_IMAGES } from '../core/limits.ts';
import { sha256Of } from '../core/sha256.ts';
import { encodeDocument, type JsonFields, parseDocument } from '../repository/json-fields.ts';
import { isName, isVersion } from '../repository/layout.ts';

/** One image of a stack, as a release named it. */
export interface DeployedImage {
  readonly name: string;
  readonly version: string;
  readonly digest: Digest;
}

/** Where a deployment came from. */
export interface Origin {
  readonly url: string;
  readonly channel: string;
}

/** One immutable version of a stack. */
export interface Deployment {
  readonly schema: 'osupd-deployment/1';
  /** `SERIAL-HASH`: a number that grows, and the start of the SHA-256 of the `stack` file. Unique within its stack. */
  readonly id: string;
  readonly stack: string;
  /** The topmost first. */
  readonly images: readonly DeployedImage[];
  /** When the device made it: UTC, `2030-01-31T23:59:59Z`. */
  readonly createdAt: string;
  readonly origin: Origin;
  /** Kernel arguments, each one word. */
  readonly arguments: readonly string[];
  /** Paths of kernel and initrd in the tree, where a release names them. */
  readonly boot?: DeployedBoot;
}

export interface DeployedBoot {
  readonly kernel: string;
  readonly initrd?: string;
}

/** First line of a `stack` file: what it is, and the version of its form. */
const STACK_HEADER = 'osupd-stack 1';

const ID = /^([1-9][0-9]{0,8})-[0-9a-f]{12}$/;
const FIELDS = ['schema', 'critical', 'id', 'stack', 'images', 'createdAt', 'origin', 'arguments', 'boot'];

export function isDeploymentId(text: string): boolean {
  return ID.test(text);
}

/** @throws OsupdError `usage` */
export function checkDeploymentId(text: string): string {
  if (isDeploymentId(text)) return text;
  throw new OsupdError('usage', `"${text.slice(0, 80)}" is not the ID of a deployment`);
}

/** The number in a deployment's ID; deployments of a stack were first made in this order. */
export function serialOf(id: string): number {
  return Number(ID.exec(id)?.[1] ?? 0);
}

/** The text of a `stack` file: a header, then `image DIGEST NAME VERSION` for each image, the topmost first. */
export function formatStack(images: readonly DeployedImage[]): string {
  const lines = images.map(({ digest, name, version }) => `image ${digest} ${name} ${version}`);
  return `${[STACK_HEADER, ...lines].join('\n')}\n`;
}

/** The ID of the deployment with this serial number and these images. */
export function deploymentId(serial: number, images: readonly DeployedImage[]): string {
  return `${serial}-${sha256Of(formatStack(images)).slice(0, 12)}`;
}

/** Names and contents of a deployment's files. */
export function deploymentFiles(deployment: Deployment): ReadonlyMap<string, string> {
  return new Map([
    ['stack', formatStack(deployment.images)],
    ['deployment.json', encodeDocument(deployment).toString('utf8')],
    ['arguments', `${deployment.arguments.join(' ')}\n`],
  ]);
}

/**
 * Reads a `stack` file. Lines that begin with an unknown word are left out.
 * @param place the deployment's directory, for messages.
 * @throws OsupdError `damaged-store`
 */
export function parseStack(text: string, place: string): DeployedImage[] {
  const damaged = (): OsupdError =>
    new OsupdError('damaged-store', 'not a valid deployment: its file "stack" cannot be read', { where: place });
  const [header, ...lines] = text.split('\n');
  if (header !== STACK_HEADER || lines.length > MAX_STACK_IMAGES + 1) throw damaged();
  return lines.flatMap((line) => {
    const [word, digest = '', name = '', version = '', ...rest] = line.split(' ');
    if (word !== 'image') return [];
    if (!isDigest(digest) || !isName(name) || !isVersion(version) || rest.length > 0) throw damaged();
    return [{ name, version, digest: digest as Digest }];
  });
}

/**
 * Reads `deployment.json` and checks that `stack` says the same.
 * @param stackText the file `stack`; undefined where it is not to be compared. @param place the deployment's directory, for messages.
 * @throws OsupdError `damaged-store`
 */
export function parseDeployment(json: Uint8Array, stackText: string | undefined, place: string): Deployment {
  const damaged = (what: string): OsupdError =>
    new OsupdError('damaged-store', `not a valid deployment: ${what}`, {
      where: place,
      remedy: 'remove it with osupd undeploy, then run osupd pull',
    });
  const fields = parseDocument(json, 'osupd-deployment/1', FIELDS, damaged);
  const origin = fields.object('origin');
  const deployment: Deployment = {
    schema: 'osupd-deployment/1',
    id: fields.string('id', isDeploymentId),
    stack: fields.string('stack'),
    images: fields.objects('images', MAX_STACK_IMAGES).map(parseImage),
    createdAt: fields.time('createdAt'),
    origin: { url: origin.string('url'), channel: origin.string('channel') },
    arguments: fields.strings('arguments', MAX_KERNEL_ARGUMENTS),
    ...(fields.has('boot') ? { boot: parseBoot(fields.object('boot')) } : {}),
  };
  if (stackText !== undefined && formatStack(deployment.images) !== stackText)
    throw damaged('its files "stack" and "deployment.json" differ');
  if (deploymentId(serialOf(deployment.id), deployment.images) !== deployment.id)
    throw damaged('its images are not those of its ID');
  return deployment;
}

function parseBoot(fields: JsonFields): DeployedBoot {
  return {
    kernel: fields.string('kernel'),
    ...(fields.has('initrd') ? { initrd: fields.string('initrd') } : {}),
  };
}

function parseImage(fields: JsonFields): DeployedImage {
  return {
    name: fields.string('name', isName),
    version: fields.string('version', isVersion),
    digest: fields.string('digest', isDigest) as Digest,
  };
}
