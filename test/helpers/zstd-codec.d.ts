/** What the tests use of zstd-codec, which brings no types. */
declare module 'zstd-codec' {
  interface Simple {
    /** The content of a frame; null when it cannot be decoded. */
    decompress(frame: Uint8Array): Uint8Array | null;
  }
  export const ZstdCodec: { run(ready: (zstd: { Simple: new () => Simple }) => void): void };
}
