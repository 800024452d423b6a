/** `osupd build`: directories and archives become a version of an image in a pool. */
import { createReadStream, statSync } from 'node:fs';
import { machine } from 'node:os';
import { resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Command } from 'commander';
import { OsupdError, toOsupdError } from '../../core/errors.ts';
import type { Build, BuildOptions, BuildSource } from '../../image/build.ts';
import type { BuildRecord } from '../../repository/build-record.ts';
import type { BootFiles } from '../../repository/release.ts';
import { nodeOf, walk } from '../../tree/tree.ts';
import type { CliContext } from '../context.ts';
import { formatBytes, type Output, outputOf } from '../output.ts';
import { several } from '../repository-options.ts';

interface Options {
  readonly name: string;
  readonly version: string;
  readonly pool: string;
  readonly arch: string;
  readonly exclude?: string[];
  readonly clampMtime?: string | true;
  readonly ownerMap?: string[];
  readonly inlineLimit: string;
  readonly minVersion?: string;
  readonly maxVersion?: string;
  readonly skipDevices?: true;
  readonly skipXattrs?: true;
  readonly userXattrs?: true;
  readonly oneFileSystem?: true;
  readonly annotation?: string[];
  readonly kernel?: string;
  readonly initrd?: string;
  readonly kernelArguments?: string;
  readonly force?: true;
}

const EXAMPLES = `
A SOURCE is a directory or a tar archive (plain, gzip, zstd or xz; - for standard input). The first is the base, the
others are layers on it, with OCI or overlayfs whiteouts.

The environment variable SOURCE_DATE_EPOCH limits mtimes as --clamp-mtime does, and is the build's time.

Examples:
  osupd build ./tree --name os --version 1 --pool ./pool
  osupd build ./tree --name os --version 2 --pool ./pool --kernel usr/lib/linux/vmlinuz --initrd usr/lib/linux/initrd
  osupd build base.tar.zst app.tar --name kiosk --version 7 --pool ./pool --exclude 'var/cache/*'
  mmdebstrap bookworm - | osupd build - --name os --version 1 --pool ./pool`;

export function register(program: Command, context: CliContext): void {
  program
    .command('build')
    .description('make a version of an image from directories and tar archives')
    .argument('<source...>', 'directories or tar archives: the base, then layers')
    .requiredOption('--name <name>', 'name of the image, for example os')
    .requiredOption('--version <version>', 'version of this build')
    .requiredOption('--pool <dir>', 'pool that gets the image and its objects; made when it does not exist')
    .option('--arch <architecture>', 'architecture as "uname -m" says it, or any', machine())
    .option('--exclude <glob>', 'leave out what matches, with all below it; repeatable', several)
    .option('--clamp-mtime [time]', 'no mtime is later than this (seconds or ISO 8601); default SOURCE_DATE_EPOCH')
    .option('--owner-map <map>', 'UID:GID for all files, or [u:|g:]FROM:TO:COUNT; repeatable', several)
    .option('--inline-limit <bytes>', 'files up to this size are kept in the image itself', '64')
    .option('--min-version <n>', 'lowest version of the image format: 0 or 1')
    .option('--max-version <n>', 'highest version of the image format: 0 or 1')
    .option('--skip-devices', 'leave out block and character devices')
    .option('--skip-xattrs', 'leave out extended attributes')
    .option('--user-xattrs', 'take extended attributes in user. alone')
    .option('--one-file-system', 'leave out what is mounted in a source directory')
    .option('--annotation <key=value>', 'put into the release; repeatable', several)
    .option('--kernel <path>', 'path of the kernel or unified kernel image in the tree (default: found on the device)')
    .option('--initrd <path>', 'path of the initrd in the tree; with --kernel')
    .option('--kernel-arguments <words>', 'kernel arguments that a boot of this image needs; with --kernel')
    .option('--force', 'replace a build of this version that has another image')
    .addHelpText('after', EXAMPLES)
    .action(async (sources: string[], options: Options, command: Command) => {
      await runBuild(sources, options, outputOf(command, context), context);
    });
}

async function runBuild(words: string[], options: Options, output: Output, context: CliContext): Promise<void> {
  const { Pool } = await import('../../objects/pool.ts');
  const { ObjectBatch } = await import('../../objects/ingest.ts');
  const { buildImage } = await import('../../image/build.ts');
  const { bootFiles, checkBootOptions, parseAnnotations } = await import('../build-options.ts');
  const began = context.now();
  await checkReference(options);
  checkBootOptions(options);
  const buildOptions = { ...(await parseOptions(options, context)), progress: output.progress };
  const annotations = parseAnnotations(options.annotation ?? []);
  const sources = words.map((word) => sourceOf(word, context));
  const pool = await Pool.create(resolve(context.workingDirectory, options.pool));
  await using batch = await ObjectBatch.open(pool);
  const build = await buildImage(sources, batch, buildOptions);
  const boot = bootFiles(build.tree, options);
  const sameImage = await recordBuild(pool.directory, build, options, { annotations, boot }, context);
  await batch.close();
  report(build, sameImage, options, (context.now().getTime() - began.getTime()) / 1000, output);
}

/** Before the work, not after it. */
async function checkReference({ name, version, arch }: Options): Promise<void> {
  const { parseReleaseReference } = await import('../../repository/layout.ts');
  const { isArchitecture } = await import('../../repository/release.ts');
  parseReleaseReference(`${name}@${version}`);
  if (!isArchitecture(arch)) {
    throw new OsupdError('usage', `"${arch}" is not an architecture`, {
      remedy: 'write it as "uname -m" does, or any',
    });
  }
}

async function parseOptions(options: Options, context: CliContext): Promise<BuildOptions> {
  const parse = await import('../build-options.ts');
  const minVersion = parse.parseVersionNumber('--min-version', options.minVersion);
  const maxVersion = parse.parseVersionNumber('--max-version', options.maxVersion);
  return {
    inlineLimit: parse.parseInlineLimit(options.inlineLimit),
    clampMtime: parse.parseClampMtime(options.clampMtime, context.environment.SOURCE_DATE_EPOCH),
    exclude: options.exclude,
    owners: parse.parseOwnerMap(options.ownerMap ?? []),
    xattrs: options.skipXattrs ? 'none' : options.userXattrs ? 'user' : 'all',
    skipDevices: options.skipDevices,
    oneFileSystem: options.oneFileSystem,
    signal: context.signal,
    ...(minVersion === undefined ? {} : { minVersion }),
    ...(maxVersion === undefined ? {} : { maxVersion }),
  };
}

function sourceOf(word: string, context: CliContext): BuildSource {
  if (word === '-') {
    return { kind: 'tar', path: 'standard input', open: () => context.stdin as AsyncIterable<Buffer> };
  }
  const path = resolve(context.workingDirectory, word);
  try {
    if (statSync(path).isDirectory()) return { kind: 'directory', path };
  } catch (error) {
    throw toOsupdError(error, word);
  }
  return { kind: 'tar', path: word, open: () => createReadStream(path, { highWaterMark: 1 << 20 }) };
}

/** Writes the record of the build. True when this version was built before with the same image. */
async function recordBuild(
  pool: string,
  build: Build,
  options: Options,
  { annotations, boot }: { annotations: Readonly<Record<string, string>>; boot: BootFiles | undefined },
  context: CliContext,
): Promise<boolean> {
  const { writeBuildRecord } = await import('../../repository/build-record.ts');
  const record: BuildRecord = {
    schema: 'osupd-build/1',
    name: options.name,
    version: options.version,
    architecture: options.arch,
    image: { digest: build.digest, size: build.bytes.length },
    objects: { ...build.objects },
    createdAt: await buildTime(context),
    ...(boot === undefined ? {} : { boot }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  const before = await readRecord(pool, options);
  const sameImage = before?.image.digest === build.digest;
  if (before !== undefined && !sameImage && !options.force) {
    throw new OsupdError('usage', `this version was built before, with another image: ${before.image.digest}`, {
      where: `${options.name}@${options.version}`,
      remedy: 'choose another --version, or give --force if it was never published',
      facts: { before: before.image.digest, now: build.digest },
    });
  }
  // Where nothing but the time differs, the record goes on saying when this image was built first.
  if (!isDeepStrictEqual({ ...before, createdAt: '' }, { ...record, createdAt: '' }))
    await writeBuildRecord(pool, record);
  return sameImage;
}

/** The record of an earlier build of this version; a damaged one counts as none, for this build is what repairs it. */
async function readRecord(pool: string, options: Options): Promise<BuildRecord | undefined> {
  const { readBuildRecord } = await import('../../repository/build-record.ts');
  try {
    return await readBuildRecord(pool, options);
  } catch (error) {
    if (error instanceof OsupdError && (error.code === 'not-found' || error.code === 'damaged-store')) return undefined;
    throw error;
  }
}

/** SOURCE_DATE_EPOCH in place of the clock: two builds of one source then have equal records too. */
async function buildTime(context: CliContext): Promise<string> {
  const { parseEpoch } = await import('../build-options.ts');
  const { formatTime } = await import('../../repository/json-fields.ts');
  const { SOURCE_DATE_EPOCH: epoch } = context.environment;
  const time = epoch ? new Date(Number(parseEpoch(epoch).seconds) * 1000) : context.now();
  return formatTime(time);
}

function report(build: Build, sameImage: boolean, options: Options, seconds: number, output: Output): void {
  const { digest, bytes, objects, added } = build;
  const entries = countEntries(build);
  const value = {
    name: options.name,
    version: options.version,
    architecture: options.arch,
    image: { digest, size: bytes.length },
    entries,
    objects: { ...objects, added },
    builtBefore: sameImage,
    seconds,
  };
  output.result(value, () =>
    [
      `${options.name}@${options.version}${sameImage ? '  built before, with the same image' : ''}`,
      `image    ${digest}  ${formatBytes(bytes.length)}`,
      `entries  ${entries.files} files, ${entries.directories} directories, ${entries.others} others`,
      `objects  ${objects.count}, ${formatBytes(objects.bytes)}: ${added.count} new, ${formatBytes(added.bytes)}`,
      `time     ${seconds.toFixed(1)} s`,
    ].join('\n'),
  );
}

function countEntries({ tree }: Build): { files: number; directories: number; others: number } {
  const counts = { files: 0, directories: 0, others: 0 };
  for (const { entry } of walk(tree)) {
    const { type } = nodeOf(entry);
    counts[type === 'file' ? 'files' : type === 'directory' ? 'directories' : 'others']++;
  }
  return counts;
}
