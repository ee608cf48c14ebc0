// Runs the command line in a thread of its own and keeps what it prints: in the thread of a test, what the runner reports
// meanwhile would be taken for the command's and be lost.
import { once } from 'node:events';
import { after } from 'node:test';
import { Worker } from 'node:worker_threads';

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

let worker: Worker | undefined;
after(() => worker?.terminate());

/** Runs `lateen ARGS`; one at a time. */
export async function runLateen(...args: readonly string[]): Promise<CliResult> {
  worker ??= new Worker(new URL('./cli-thread.js', import.meta.url));
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none
  worker.postMessage(args);
  const [result] = (await once(worker, 'message')) as [CliResult];
  return result;
}
