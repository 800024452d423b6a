/** Streams of the runtime as async iterables. */
import { pipeline, Readable } from 'node:stream';

/** A stream that takes bytes and gives bytes, such as a decompressor. */
type Transformer = NodeJS.ReadWriteStream & AsyncIterable<Uint8Array>;

/**
 * What the transformer makes of the content. Whoever reads it gets every error, also those of `content`; and when the reader
 * leaves early, the content is ended too, which pipe() would not do.
 */
export function through<T extends Transformer>(content: AsyncIterable<Uint8Array>, transformer: T): T {
  pipeline(Readable.from(content, { objectMode: false }), transformer, () => {});
  return transformer;
}
