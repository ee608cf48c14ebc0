// HTTP/1.1 in a closed loop: small answers, 10 KB and 1 MB.
import { paths } from '../backends.js';
import { runWrk } from '../load/wrk.js';
import {
  bothSides,
  closedLoopFigures,
  cpuFigures,
  measureClosedLoop,
  wrkIsNeeded,
  type Row,
  type Settings,
  type Subject,
  type Values,
} from './row.js';

/** Connections while 1 MB answers are fetched: enough to keep a proxy busy. */
const connectionsOfLarge = 16;

async function measureAt(
  path: string,
  { running, entrance }: Subject,
  { connections, seconds }: Pick<Settings, 'connections' | 'seconds'>,
): Promise<Values> {
  const url = `http://127.0.0.1:${entrance}${path}`;
  await runWrk(url, connections, 1);
  return measureClosedLoop(running, seconds, () => runWrk(url, connections, seconds));
}

export const http1Small: Row = {
  name: 'h1-small',
  title: 'HTTP/1.1, answers of 67 bytes, 64 connections in a closed loop',
  protocol: 'http1',
  needs: wrkIsNeeded,
  figures: closedLoopFigures,
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
    { key: 'errors', title: 'errors', digits: 0, isInformation: true },
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
  figures: closedLoopFigures,
  targets: [],
  measure: (subject, settings) => measureAt(paths.tenKb, subject, settings),
};

export const http1OneMb: Row = {
  name: 'h1-1m',
  title: `HTTP/1.1, answers of 1 MB, ${connectionsOfLarge} connections in a closed loop`,
  protocol: 'http1',
  needs: wrkIsNeeded,
  figures: closedLoopFigures,
  targets: [...bothSides(2, 'envoy-h1'), ...bothSides(2, 'envoy-h2')],
  measure: (subject, { seconds }) => measureAt(paths.oneMb, subject, { connections: connectionsOfLarge, seconds }),
};
