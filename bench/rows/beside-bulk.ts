// Small requests while one download takes all it can get through the same proxies.
import { paths } from '../backends.js';
import { runOpenLoop } from '../load/open-loop.js';
import { runWrk } from '../load/wrk.js';
import { mustSucceed, wrkIsNeeded, type Row } from './row.js';

const connections = 16;
const rate = 200;

export const besideBulk: Row = {
  name: 'beside-bulk',
  title: `HTTP/1.1, ${rate} small requests a second in an open loop beside one download without end`,
  protocol: 'http1',
  needs: wrkIsNeeded,
  figures: [
    { key: 'p50', title: 'p50 ms', digits: 2 },
    { key: 'p99', title: 'p99 ms', digits: 2 },
    { key: 'bulk', title: 'download MB/s', digits: 0, isInformation: true },
    { key: 'errors', title: 'errors', digits: 0, isInformation: true },
  ],
  targets: ['envoy-h1', 'envoy-h2'].map((of) => ({ figure: 'p99', atMost: 1, of })),
  measure: async ({ entrance }, { seconds }) => {
    const bulkSeconds = seconds + 2;
    const bulk = runWrk(`http://127.0.0.1:${entrance}${paths.bulk}`, 1, bulkSeconds);
    const load = { port: entrance, path: paths.small, connections, rate };
    await runOpenLoop({ ...load, seconds: 1 });
    const [small, { bytes }] = await Promise.all([runOpenLoop({ ...load, seconds }), bulk]);
    mustSucceed(small);
    return {
      p50: small.p50Micros / 1000,
      p99: small.p99Micros / 1000,
      bulk: bytes / 1024 / 1024 / bulkSeconds,
      errors: small.errors,
    };
  },
};
