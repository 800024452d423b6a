import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Each file in a process of its own: some tests change mounts, the working directory or the file mode mask.
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
