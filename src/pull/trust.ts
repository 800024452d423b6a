/**
 * What the device believes of a repository: TUF 1.0 (client workflow of section 5) from the pinned root to each release,
 * channel and delta index. The client is tuf-js; it takes the time from the system's clock.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TargetFile, Updater } from 'tuf-js';
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import {
  MAX_METADATA_BYTES,
  MAX_ROOT_METADATA_BYTES,
  MAX_SNAPSHOT_BYTES,
  MAX_TIMESTAMP_BYTES,
} from '../core/limits.ts';
import { type Channel, parseChannel } from '../repository/channel.ts';
import { type DeltaIndex, parseDeltaIndex } from '../repository/delta-index.ts';
import { channelTarget, deltaIndexTarget, type ReleaseReference, releaseTarget } from '../repository/layout.ts';
import { parseRelease, type Release } from '../repository/release.ts';
import type { Source } from '../transport/source.ts';
import { MetadataFetcher, SOURCE_URL } from './metadata-fetcher.ts';
import { TargetCache } from './target-cache.ts';
import { refusal } from './trust-errors.ts';
import { TrustStore } from './trust-store.ts';

export interface TrustOptions {
  /** `ROOT/trust`: holds the pinned root, and what was verified since. */
  readonly directory: string;
  readonly source: Source;
  readonly signal?: AbortSignal;
}

/**
 * Brings the trusted metadata up to date and returns the view of it. Close it at the end.
 * @throws OsupdError `verification-failed` with `facts.role` and `facts.reason` for metadata that is expired, older than
 *   what was seen before, not signed by the right keys, inconsistent or too long; `not-found` where there is no repository
 *   or no pinned root; `network`; `damaged-repository` when a file that signed metadata names is missing.
 */
export async function openTrust(options: TrustOptions): Promise<Trust> {
  const store = new TrustStore(options.directory);
  try {
    const trust = new Trust(options, store);
    await trust.refresh();
    return trust;
  } catch (error) {
    store.close();
    throw error;
  }
}

export class Trust {
  readonly #store: TrustStore;
  readonly #fetcher: MetadataFetcher;
  readonly #updater: Updater;
  readonly #cache: TargetCache;

  constructor({ directory, source, signal }: TrustOptions, store: TrustStore) {
    this.#store = store;
    this.#cache = new TargetCache(join(directory, 'targets'));
    this.#fetcher = new MetadataFetcher(source, store.workingDirectory, signal);
    try {
      this.#updater = new Updater({
        metadataDir: store.workingDirectory,
        metadataBaseUrl: `${SOURCE_URL}metadata`,
        targetBaseUrl: `${SOURCE_URL}targets`,
        fetcher: this.#fetcher,
        config: {
          rootMaxLength: MAX_ROOT_METADATA_BYTES,
          timestampMaxLength: MAX_TIMESTAMP_BYTES,
          snapshotMaxLength: MAX_SNAPSHOT_BYTES,
          targetsMaxLength: MAX_METADATA_BYTES,
        },
      });
    } catch (cause) {
      throw new OsupdError('damaged-store', `the trusted root cannot be used: ${(cause as Error).message}`, {
        where: join(directory, 'root.json'),
        remedy: 'run osupd init --trust ROOT.json again',
        cause,
      });
    }
  }

  /** Once, before anything else. */
  async refresh(): Promise<void> {
    await this.#verified(() => this.#updater.refresh());
  }

  /** @throws OsupdError `not-found` when the repository has no such channel. */
  async channel(name: string): Promise<Channel> {
    const target = channelTarget(name);
    const bytes = await this.target(target);
    if (bytes !== undefined) return parseChannel(bytes, target);
    throw new OsupdError('not-found', `the repository has no channel ${name}`, {
      remedy: 'set channel in the configuration to one that it has',
    });
  }

  /** @throws OsupdError `not-found` when there is no such release. */
  async release(reference: ReleaseReference): Promise<Release> {
    const target = releaseTarget(reference);
    const bytes = await this.target(target);
    const name = `${reference.name}@${reference.version}`;
    if (bytes === undefined) throw new OsupdError('not-found', `the repository has no release ${name}`);
    const release = parseRelease(bytes, target);
    if (release.name === reference.name && release.version === reference.version) return release;
    throw new OsupdError('verification-failed', `the release there is ${release.name}@${release.version}`, {
      where: target,
      remedy: 'ask the operator of the repository to publish it again',
    });
  }

  /** The deltas that lead to an image; undefined when there are none. */
  async deltas(image: Digest): Promise<DeltaIndex | undefined> {
    const target = deltaIndexTarget(image);
    const bytes = await this.target(target);
    const index = bytes === undefined ? undefined : parseDeltaIndex(bytes, target);
    if (index === undefined || index.image === image) return index;
    throw new OsupdError('verification-failed', `this index is of another image (${index.image})`, { where: target });
  }

  /** The content of a target, from the cache where it is the same; undefined when nobody signed one of this name. */
  async target(name: string): Promise<Buffer | undefined> {
    const info = await this.#verified(() => this.#updater.getTargetInfo(name));
    if (info === undefined) return undefined;
    const cached = this.#cache.read(name);
    if (cached !== undefined && (await hasContent(info, cached))) return cached;
    const bytes = await this.#verified(async () => {
      const file = join(this.#store.workingDirectory, 'target');
      await this.#updater.downloadTarget(info, file);
      return readFileSync(file);
    });
    await this.#cache.keep(name, bytes);
    return bytes;
  }

  close(): void {
    this.#store.close();
  }

  /** Does a step of the client; what was verified is kept, also when a later part of the step fails. */
  async #verified<T>(step: () => Promise<T>): Promise<T> {
    this.#fetcher.failure = undefined;
    try {
      const result = await step();
      await this.#store.keep();
      return result;
    } catch (error) {
      await this.#store.keep();
      if (this.#fetcher.failure !== undefined) throw this.#fetcher.failure;
      throw error instanceof OsupdError ? error : refusal(error, this.#fetcher.lastPath, this.#fetcher.lastPlace);
    }
  }
}

async function hasContent(info: TargetFile, bytes: Buffer): Promise<boolean> {
  if (bytes.length !== info.length) return false;
  try {
    await info.verify(Readable.from([bytes]));
    return true;
  } catch {
    // The only thing that verify says this way is that length or hash differ.
    return false;
  }
}
