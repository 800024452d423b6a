/** What is used of zstd-codec, which brings no types: its binding to zstd in WebAssembly. */
declare module 'zstd-codec/lib/module.js' {
  type EachPart = (part: Uint8Array<ArrayBuffer>) => void;

  /** Methods give false when zstd refuses. Each part is a copy with a buffer of its own. */
  export interface DecompressStream {
    begin(): boolean;
    transform(compressed: Uint8Array, each: EachPart): boolean;
    /** Gives what is left; the stream takes nothing more. */
    end(each: EachPart): boolean;
    /** Gives its memory back. */
    delete(): void;
  }

  /** It has a method `then`: a promise resolved with it never settles. */
  interface Binding {
    readonly ZstdDecompressStreamBinding: new () => DecompressStream;
  }

  export function run(ready: (binding: Binding) => void): void;
}
