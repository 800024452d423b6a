/** Writes many lines on standard output, some hundred at once, and waits for a slow reader. */
import type { Output } from './output.ts';

const BATCH_CHARACTERS = 1 << 16;

/** @param lines each with its newline. */
export async function writeLines(output: Output, lines: Iterable<string> | AsyncIterable<string>): Promise<void> {
  let batch = '';
  for await (const line of lines) {
    batch += line;
    if (batch.length < BATCH_CHARACTERS) continue;
    await output.write(batch);
    batch = '';
  }
  if (batch !== '') await output.write(batch);
}
