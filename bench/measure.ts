// One measurement of one pair: throughput, CPU a request, latency, memory.
import { spawn } from 'node:child_process';
import { mustBeFree, ports, type Pair, type Workspace } from './pair.js';
import { direct, entranceOf } from './pairs/direct.js';
import { cpuMicros, memoryMb } from './process-cost.js';

export interface Load {
  /** Keep-alive connections while throughput and CPU are measured. */
  readonly connections: number;
  readonly seconds: number;
}

export interface Measurement {
  readonly requestsPerSecond: number;
  /** CPU microseconds a request, of each side. */
  readonly clientMicros: number;
  readonly serverMicros: number;
  /** With all connections, in milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Median with one connection, in microseconds. */
  readonly oneConnectionMicros: number;
  readonly clientMb: number;
  readonly serverMb: number;
  /** Answers that were no 2xx, and socket errors. */
  readonly errors: number;
}

const warmSeconds = 3;
const singleSeconds = 3;

export async function measure(pair: Pair, workspace: Workspace, load: Load): Promise<Measurement> {
  if (pair.name !== direct.name) await Promise.all([mustBeFree(ports.client), mustBeFree(ports.server)]);
  const running = await pair.start(workspace);
  try {
    const url = `http://127.0.0.1:${entranceOf(pair)}/x`;
    await runWrk(url, load.connections, warmSeconds);
    const before = { client: cpuMicros(running.client), server: cpuMicros(running.server) };
    const many = await runWrk(url, load.connections, load.seconds);
    const client = cpuMicros(running.client) - before.client;
    const server = cpuMicros(running.server) - before.server;
    const memory = { client: memoryMb(running.client), server: memoryMb(running.server) };
    const single = await runWrk(url, 1, singleSeconds);
    return {
      requestsPerSecond: many.requests / load.seconds,
      clientMicros: client / many.requests,
      serverMicros: server / many.requests,
      p50Ms: many.p50Micros / 1000,
      p99Ms: many.p99Micros / 1000,
      oneConnectionMicros: single.p50Micros,
      clientMb: memory.client,
      serverMb: memory.server,
      errors: many.errors + single.errors,
    };
  } finally {
    await running.stop();
  }
}

interface WrkResult {
  readonly requests: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly errors: number;
}

function runWrk(url: string, connections: number, seconds: number): Promise<WrkResult> {
  return new Promise((resolve, reject) => {
    let output = '';
    const child = spawn('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', url]);
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.once('error', reject);
    child.once('close', () => {
      try {
        resolve(readWrk(output));
      } catch (error) {
        reject(error as Error);
      }
    });
  });
}

function readWrk(output: string): WrkResult {
  const requests = Number(/(\d+) requests in/.exec(output)?.[1] ?? 0);
  if (requests === 0) throw new Error(`no request was answered:\n${output}`);
  const [, connect = 0, read = 0, write = 0, timeout = 0] =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output)?.map(Number) ?? [];
  return {
    requests,
    p50Micros: microsOf(/^ +50%\s+(\S+)/m.exec(output)?.[1]),
    p99Micros: microsOf(/^ +99%\s+(\S+)/m.exec(output)?.[1]),
    errors: Number(/Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? 0) + connect + read + write + timeout,
  };
}

/** wrk's durations: 84.00us, 1.23ms, 1.02s. */
function microsOf(text: string | undefined): number {
  const match = /^([\d.]+)(us|ms|s)$/.exec(text ?? '');
  if (match === null) throw new Error(`wrk gave no latency: ${text}`);
  return Number(match[1]) * { us: 1, ms: 1e3, s: 1e6 }[match[2] as 'us' | 'ms' | 's'];
}
