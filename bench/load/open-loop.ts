// Open-loop HTTP/1.1: requests begin when the clock says so, however slow the answers are, and what waits for a free connection is
// late. Latency counts from the moment at which a request was due.
import { quantile } from '../statistics.js';
import { openCallers, type Caller } from './caller.js';

export interface OpenLoopOptions {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  /** Requests a second, evenly spaced. */
  readonly rate: number;
  readonly seconds: number;
}

export interface OpenLoopResult {
  readonly requests: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly errors: number;
}

export async function runOpenLoop({
  port,
  path,
  connections,
  rate,
  seconds,
}: OpenLoopOptions): Promise<OpenLoopResult> {
  const idle = await openCallers(port, path, connections);
  const all = [...idle];
  try {
    return await new Promise((resolve) => {
      const total = Math.round(rate * seconds);
      const micros: number[] = [];
      const startMs = performance.now();
      let sent = 0;
      let errors = 0;
      const answered = (caller: Caller, dueMs: number, status: number) => {
        micros.push((performance.now() - dueMs) * 1000);
        if (status !== 200) errors++;
        idle.push(caller);
        if (micros.length === total) finish();
        else sendDue();
      };
      const sendDue = () => {
        const nowMs = performance.now();
        while (sent < total && idle.length > 0) {
          const dueMs = startMs + (sent * 1000) / rate;
          if (dueMs > nowMs) return;
          sent++; // before anything is called: a broken connection answers at once
          const caller = idle.shift()!;
          caller.send((status) => answered(caller, dueMs, status));
        }
      };
      const timer = setInterval(sendDue, 1);
      const finish = () => {
        clearInterval(timer);
        resolve({
          requests: total,
          p50Micros: quantile(micros, 0.5),
          p99Micros: quantile(micros, 0.99),
          errors,
        });
      };
    });
  } finally {
    for (const caller of all) caller.close();
  }
}
