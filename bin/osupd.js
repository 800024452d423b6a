#!/usr/bin/env node
// Launcher. Runs on any Node.js: where the running one is too old, it starts the pinned one of a checkout instead.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [major, minor] = process.versions.node.split('.').map(Number);

if (major > 24 || (major === 24 && minor >= 15)) {
  const { main } = await import('../dist/cli/main.js');
  await main();
} else {
  const pinned = findPinned();
  if (pinned !== undefined) {
    const child = spawn(pinned, process.argv.slice(1), { stdio: 'inherit' });
    // The child is in the same process group and gets Ctrl-C itself; what is sent to this process alone is passed on.
    for (const name of ['SIGTERM', 'SIGHUP']) process.on(name, () => child.kill(name));
    process.on('SIGINT', () => {});
    child.on('exit', (status, signal) => {
      if (signal === null) process.exit(status);
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    });
  } else if (process.argv.length === 3 && process.argv[2] === '--version') {
    console.log(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version);
  } else {
    console.error(`osupd: Node.js ${process.versions.node} is too old; install Node.js 24.15 or newer`);
    process.exitCode = 9;
  }
}

/** The Node.js binary that a checkout brings (runtime/package.json); an installed osupd has none. */
function findPinned() {
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-linux-${process.arch}/package.json`);
    const binary = manifest.replace(/package\.json$/, 'bin/node');
    return existsSync(binary) ? binary : undefined;
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}
