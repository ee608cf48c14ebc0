// A row of the bench: one kind of load, what is read off while it runs, and what is asked of us.
import type { Chain, Protocol, RunningPair } from '../pair.js';
import { cpuMicros } from '../process-cost.js';

/** What a measurement found, by the key of the figure. */
export type Values = Readonly<Record<string, number>>;

export interface Figure {
  readonly key: string;
  /** With its unit. */
  readonly title: string;
  /** Digits behind the point. */
  readonly digits: number;
  /** Whether it is of the proxies, so that there is none without them. */
  readonly ofProxies?: boolean;
  /** Whether more is better, so that no ratio is a target. */
  readonly isInformation?: boolean;
}

/** What is asked of a figure of ours. */
export interface Target {
  readonly figure: string;
  readonly atMost: number;
  /** The pair that it is compared with; none: the figure itself is bound. */
  readonly of?: string;
}

export interface Settings {
  readonly seconds: number;
  /** Keep-alive connections of closed loops. */
  readonly connections: number;
  /** Length of the load before memory is read. */
  readonly memorySeconds: number;
  /** A folder for files of the moment. */
  readonly folder: string;
}

/** A pair at work, and where it is called. */
export interface Subject {
  readonly running: RunningPair;
  readonly chain: Chain;
  /** Where applications call it. */
  readonly entrance: number;
}

export interface Row {
  readonly name: string;
  /** What it is, for the report. */
  readonly title: string;
  readonly protocol: Protocol;
  /** The backend's port, where it is another than the protocol's. */
  readonly backend?: number;
  readonly figures: readonly Figure[];
  readonly targets: readonly Target[];
  /** Whether pairs are started for this row and no other is beside them; then it is measured in one round only. */
  readonly alone?: boolean;
  /** A program that it needs, and how to get it. */
  readonly needs?: { readonly program: string; readonly from: string };
  /** Why it says nothing without proxies. */
  readonly isOfProxiesOnly?: boolean;
  measure(subject: Subject, settings: Settings): Promise<Values>;
}

export const wrkIsNeeded = { program: 'wrk', from: 'apt-get install wrk' } as const;
export const h2loadIsNeeded = { program: 'h2load', from: 'apt-get install nghttp2-client' } as const;

/** CPU of each side from now until it is asked for, in microseconds. */
export function startMeter({
  client,
  server,
}: RunningPair): () => { readonly client: number; readonly server: number } {
  const before = { client: cpuMicros(client), server: cpuMicros(server) };
  return () => ({ client: cpuMicros(client) - before.client, server: cpuMicros(server) - before.server });
}

/** A load that is refused costs little: more than one failure in a hundred is no measurement. */
export function mustSucceed({ requests, errors }: { readonly requests: number; readonly errors: number }): void {
  if (errors > requests / 100) throw new Error(`${errors} of ${requests} requests failed`);
}

export const cpuFigures = (per: string): readonly Figure[] => [
  { key: 'client', title: `client us/${per}`, digits: 1, ofProxies: true },
  { key: 'server', title: `server us/${per}`, digits: 1, ofProxies: true },
];

/** Figures of a load that sends its next request when the last one is answered. */
export const closedLoopFigures: readonly Figure[] = [
  ...cpuFigures('request'),
  { key: 'p50', title: 'p50 ms', digits: 2 },
  { key: 'p99', title: 'p99 ms', digits: 2 },
  { key: 'rate', title: 'requests/s', digits: 0, isInformation: true },
  { key: 'errors', title: 'errors', digits: 0, isInformation: true },
];

interface ClosedLoopResult {
  readonly requests: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly errors: number;
}

/** Their values for a load of `seconds`. */
export async function measureClosedLoop(
  running: RunningPair,
  seconds: number,
  load: () => Promise<ClosedLoopResult>,
): Promise<Values> {
  const meter = startMeter(running);
  const result = await load();
  const { client, server } = meter();
  mustSucceed(result);
  const { requests, p50Micros, p99Micros, errors } = result;
  return {
    rate: requests / seconds,
    client: client / requests,
    server: server / requests,
    p50: p50Micros / 1000,
    p99: p99Micros / 1000,
    errors,
  };
}

/** The same ratio asked of both sides. */
export function bothSides(atMost: number, of: string): Target[] {
  return ['client', 'server'].map((figure) => ({ figure, atMost, of }));
}
