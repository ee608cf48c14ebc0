// Bytes without HTTP: one connection downloads as fast as it can.
import { paths } from '../backends.js';
import { runWrk } from '../load/wrk.js';
import { bothSides, startMeter, wrkIsNeeded, type Row } from './row.js';

const gigabyte = 1024 ** 3;

export const tcpBulk: Row = {
  name: 'tcp-bulk',
  title: 'TCP, one connection that downloads without end',
  protocol: 'tcp',
  needs: wrkIsNeeded,
  figures: [
    { key: 'client', title: 'client CPU s/GB', digits: 2, ofProxies: true },
    { key: 'server', title: 'server CPU s/GB', digits: 2, ofProxies: true },
    { key: 'rate', title: 'MB/s', digits: 0, isInformation: true },
  ],
  targets: bothSides(2, 'envoy-h1'),
  measure: async ({ running, entrance }, { seconds }) => {
    const url = `http://127.0.0.1:${entrance}${paths.bulk}`;
    await runWrk(url, 1, 1);
    const meter = startMeter(running);
    const { bytes } = await runWrk(url, 1, seconds);
    const { client, server } = meter();
    return {
      client: (client / 1e6 / bytes) * gigabyte,
      server: (server / 1e6 / bytes) * gigabyte,
      rate: bytes / 1024 / 1024 / seconds,
    };
  },
};
