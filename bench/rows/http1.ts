// HTTP/1.1 in a closed loop: small answers, 10 KB and 1 MB.
import { paths } from '../backends.js';
import { runWrk } from '../load/wrk.js';
import {
  bothSides,
  cpuFigures,
  mustSucceed,
  startMeter,
  wrkIsNeeded,
  type Row,
  type Settings,
  type Subject,
  type Values,
} from './row.js';

const p50 = { key: 'p50', title: 'p50 ms', digits: 2 } as const;
const p99 = { key: 'p99', title: 'p99 ms', digits: 2 } as const;
const rate = { key: 'rate', title: 'requests/s', digits: 0, isInformation: true } as const;
const errors = { key: 'errors', title: 'errors', digits: 0, isInformation: true } as const;
/** Connections while 1 MB answers are fetched: enough to keep a proxy busy. */
const connectionsOfLarge = 16;

async function measureAt(
  path: string,
  { running, entrance }: Subject,
  { connections, seconds }: Pick<Settings, 'connections' | 'seconds'>,
): Promise<Values> {
  const url = `http://127.0.0.1:${entrance}${path}`;
  await runWrk(url, connections, 1);
  const meter = startMeter(running);
  const result = await runWrk(url, connections, seconds);
  const { client, server } = meter();
  mustSucceed(result);
  return {
    rate: result.requests / seconds,
    client: client / result.requests,
    server: server / result.requests,
    p50: result.p50Micros / 1000,
    p99: result.p99Micros / 1000,
    errors: result.errors,
  };
}

export const http1Small: Row = {
  name: 'h1-small',
  title: 'HTTP/1.1, answers of 67 bytes, 64 connections in a closed loop',
  protocol: 'http1',
  needs: wrkIsNeeded,
  figures: [...cpuFigures('request'), p50, p99, rate, errors],
  targets: [
    ...bothSides(0.35, 'envoy-h1'),
    ...bothSides(0.5, 'envoy-h2'),
    ...bothSides(1.1, 'haproxy-h2'),
    { figure: 'p99', atMost: 1, of: 'envoy-h1' },
    { figure: 'p99', atMost: 1, of: 'envoy-h2' },
  ],
  measure: (subject, settings) => measureAt(paths.small, subject, settings),
};

export const http1One: Row = {
  name: 'h1-one',
  title: 'HTTP/1.1, answers of 67 bytes, one connection',
  protocol: 'http1',
  needs: wrkIsNeeded,
  figures: [
    ...cpuFigures('request'),
    { key: 'p50', title: 'p50 us', digits: 0 },
    { key: 'p99', title: 'p99 us', digits: 0 },
    errors,
  ],
  targets: ['envoy-h1', 'envoy-h2'].map((of) => ({ figure: 'p50', atMost: 0.7, of })),
  measure: async (subject, { seconds }) => {
    const values = await measureAt(paths.small, subject, { connections: 1, seconds });
    return { ...values, p50: values['p50']! * 1000, p99: values['p99']! * 1000 };
  },
};

export const http1TenKb: Row = {
  name: 'h1-10k',
  title: 'HTTP/1.1, answers of 10 KB, 64 connections in a closed loop',
  protocol: 'http1',
  needs: wrkIsNeeded,
  figures: [...cpuFigures('request'), p50, p99, rate, errors],
  targets: [],
  measure: (subject, settings) => measureAt(paths.tenKb, subject, settings),
};

export const http1OneMb: Row = {
  name: 'h1-1m',
  title: `HTTP/1.1, answers of 1 MB, ${connectionsOfLarge} connections in a closed loop`,
  protocol: 'http1',
  needs: wrkIsNeeded,
  figures: [...cpuFigures('request'), p50, p99, rate, errors],
  targets: [...bothSides(2, 'envoy-h1'), ...bothSides(2, 'envoy-h2')],
  measure: (subject, { seconds }) => measureAt(paths.oneMb, subject, { connections: connectionsOfLarge, seconds }),
};
