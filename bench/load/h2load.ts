// Closed-loop HTTP/2 without TLS by h2load: a few connections, several requests at a time on each.
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { quantile } from '../statistics.js';

export interface H2loadOptions {
  readonly url: string;
  readonly connections: number;
  /** Requests under way on each connection. */
  readonly streams: number;
  readonly seconds: number;
  readonly headers?: readonly string[];
  /** A file that is sent as body of each request; none: GET. */
  readonly bodyFile?: string;
  /** A file for latencies, which is removed. */
  readonly logFile: string;
}

export interface H2loadResult {
  readonly requests: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly errors: number;
}

/** Fails where nothing was answered. */
export function runH2load(options: H2loadOptions): Promise<H2loadResult> {
  const { url, connections, streams, seconds, headers = [], bodyFile, logFile } = options;
  const args = [
    '-t1',
    `-c${connections}`,
    `-m${streams}`,
    `-D${Math.ceil(seconds)}`,
    `--log-file=${logFile}`,
    ...headers.flatMap((header) => ['-H', header]),
    ...(bodyFile === undefined ? [] : ['-d', bodyFile]),
    url,
  ];
  return new Promise((resolve, reject) => {
    let output = '';
    const child = spawn('h2load', args);
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
    child.once('error', reject);
    child.once('close', () => {
      try {
        const { succeeded, errors } = readH2load(output);
        if (succeeded === 0) throw new Error(`no request was answered:\n${output}`);
        const micros = readLatencies(readFileSync(logFile, 'utf8'));
        rmSync(logFile);
        resolve({ requests: succeeded, errors, p50Micros: quantile(micros, 0.5), p99Micros: quantile(micros, 0.99) });
      } catch (error) {
        reject(error as Error);
      }
    });
  });
}

/** Reads what h2load prints; what was under way when the time was over is no error. */
export function readH2load(output: string): { readonly succeeded: number; readonly errors: number } {
  const of = (what: string) => Number(new RegExp(`^requests:.*?(\\d+) ${what}`, 'm').exec(output)?.[1] ?? 0);
  return { succeeded: of('succeeded'), errors: of('failed') };
}

/** Lines of the log: microseconds since the epoch at the start, status, microseconds until the answer was complete. */
export function readLatencies(log: string): number[] {
  return log
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Number(line.split('\t')[2]));
}
