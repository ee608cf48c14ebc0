// HTTP/1.1 in an open loop, as services call each other: a fixed rate, far from what a proxy could do.
import { paths } from '../backends.js';
import { runOpenLoop } from '../load/open-loop.js';
import { cpuFigures, mustSucceed, startMeter, type Row } from './row.js';

const connections = 16;

const openLoopAt = (rate: number): Row => ({
  name: `open-${rate}`,
  title: `HTTP/1.1, answers of 1 KB, ${connections} connections, ${rate} requests a second in an open loop (Istio publishes 0.20 vCPU for 1,000 requests/s through one sidecar)`,
  protocol: 'http1',
  figures: [
    ...cpuFigures('request'),
    { key: 'vcpu', title: 'vCPU of one proxy at 1,000/s', digits: 3, ofProxies: true, isInformation: true },
    { key: 'p50', title: 'p50 us', digits: 0 },
    { key: 'p99', title: 'p99 us', digits: 0 },
    { key: 'errors', title: 'errors', digits: 0, isInformation: true },
  ],
  targets: ['client', 'server'].map((figure) => ({ figure, atMost: 0.6, of: 'envoy-h2' })),
  measure: async ({ running, entrance }, { seconds }) => {
    const load = { port: entrance, path: paths.oneKb, connections, rate };
    await runOpenLoop({ ...load, seconds: 1 });
    const meter = startMeter(running);
    const result = await runOpenLoop({ ...load, seconds });
    const { client, server } = meter();
    mustSucceed(result);
    return {
      client: client / result.requests,
      server: server / result.requests,
      vcpu: ((client + server) / 2 / result.requests) * 1e-3,
      p50: result.p50Micros,
      p99: result.p99Micros,
      errors: result.errors,
    };
  },
});

export const open200 = openLoopAt(200);
export const open1000 = openLoopAt(1000);
