/**
 * How fast trees are read: `node bench/read-trees.ts DIRECTORY-OR-TAR...`. Contents are counted, not kept.
 */
import { createReadStream, statSync } from 'node:fs';
import { asDigest } from '../src/core/digest.ts';
import { readDirectory } from '../src/tree/read-directory.ts';
import { readTar } from '../src/tree/read-tar.ts';
import { walk } from '../src/tree/tree.ts';

const digest = asDigest('0'.repeat(64));

for (const path of process.argv.slice(2))
  for (let round = 1; round <= 3; round++) {
    let bytes = 0;
    const store = {
      async put(content: AsyncIterable<Uint8Array>) {
        for await (const chunk of content) bytes += chunk.length;
        return digest;
      },
    };
    const start = performance.now();
    const tree = statSync(path).isDirectory()
      ? await readDirectory(path, { inlineLimit: 64 })
      : await readTar(createReadStream(path, { highWaterMark: 1 << 18 }), { inlineLimit: 64, store, where: path });
    const seconds = (performance.now() - start) / 1000;
    const entries = [...walk(tree)].length;
    const rate = bytes > 0 ? `, ${(bytes / 1e6 / seconds).toFixed(0)} MB/s` : '';
    const memory = process.resourceUsage().maxRSS >> 10;
    console.log(`${path} round ${round}: ${entries} entries, ${seconds.toFixed(2)} s${rate}, peak ${memory} MiB`);
  }
