// Closed-loop HTTP/1.1 by wrk: every connection sends its next request when the last one is answered.
import { spawn } from 'node:child_process';

export interface WrkResult {
  readonly requests: number;
  /** Bytes that were read, heads included. */
  readonly bytes: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  /** Answers that were no 2xx, and socket errors. */
  readonly errors: number;
}

/** Loads `url` for whole seconds; fails where nothing was answered. */
export function runWrk(url: string, connections: number, seconds: number): Promise<WrkResult> {
  return new Promise((resolve, reject) => {
    let output = '';
    const child = spawn('wrk', ['-t1', `-c${connections}`, `-d${Math.ceil(seconds)}s`, '--latency', url]);
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.once('error', reject);
    child.once('close', () => {
      try {
        const result = readWrk(output);
        if (result.requests === 0 && result.bytes === 0) throw new Error(`no request was answered:\n${output}`);
        resolve(result);
      } catch (error) {
        reject(error as Error);
      }
    });
  });
}

/** Reads what wrk prints. */
export function readWrk(output: string): WrkResult {
  const [, requests, size] = /(\d+) requests in [^,]+, (\S+) read/.exec(output) ?? [];
  const [, connect = 0, read = 0, write = 0, timeout = 0] =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output)?.map(Number) ?? [];
  return {
    requests: Number(requests ?? 0),
    bytes: bytesOf(size),
    p50Micros: microsOf(/^ +50%\s+(\S+)/m.exec(output)?.[1]),
    p99Micros: microsOf(/^ +99%\s+(\S+)/m.exec(output)?.[1]),
    errors: Number(/Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? 0) + connect + read + write + timeout,
  };
}

/** wrk's durations: 84.00us, 1.23ms, 1.02s; NaN where it gave none. */
function microsOf(text: string | undefined): number {
  const match = /^([\d.]+)(us|ms|s|m)$/.exec(text ?? '');
  return match === null ? Number.NaN : Number(match[1]) * { us: 1, ms: 1e3, s: 1e6, m: 6e7 }[match[2]!]!;
}

/** wrk's sizes, in powers of 1024: 512.00B, 1.50GB. */
function bytesOf(text: string | undefined): number {
  const match = /^([\d.]+)([KMGT]?)B$/.exec(text ?? '');
  return match === null ? 0 : Number(match[1]) * 1024 ** ['', 'K', 'M', 'G', 'T'].indexOf(match[2]!);
}
