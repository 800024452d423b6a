/** The command line from the sources, for tests that need a process of their own to stop or kill. */
import { main } from '../../src/cli/main.ts';

await main();
