// The thread in which tests run the command line: takes arguments, gives back what was printed and the exit code.
import { parentPort } from 'node:worker_threads';
import { runCli } from '../../src/cli/cli.js';
import type { CliResult } from './cli.js';

parentPort!.on('message', async (args: readonly string[]) => {
  const printed = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    process[name].write = (text: string | Uint8Array) => {
      printed[name] += String(text);
      return true;
    };
  process.exitCode = undefined;
  const code = await runCli(['node', 'lateen', ...args]);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none
  parentPort!.postMessage({ code, ...printed } satisfies CliResult);
});
