// Memory of a proxy with one workload, read while it has been under load for a while.
import { paths } from '../backends.js';
import { runWrk } from '../load/wrk.js';
import { memoryOf } from '../process-cost.js';
import { wrkIsNeeded, type Row } from './row.js';

export const memory: Row = {
  name: 'memory',
  title: 'Memory after HTTP/1.1 load of 64 connections: private and proportional share (PSS), and all that is resident',
  protocol: 'http1',
  alone: true,
  isOfProxiesOnly: true,
  needs: wrkIsNeeded,
  figures: [
    { key: 'client', title: 'client MB', digits: 1, ofProxies: true },
    { key: 'server', title: 'server MB', digits: 1, ofProxies: true },
    { key: 'clientResident', title: 'client resident MB', digits: 1, ofProxies: true, isInformation: true },
    { key: 'serverResident', title: 'server resident MB', digits: 1, ofProxies: true, isInformation: true },
  ],
  targets: ['envoy-h1', 'envoy-h2'].flatMap((of) =>
    ['client', 'server'].map((figure) => ({ figure, atMost: 1.2, of })),
  ),
  measure: async ({ running, entrance }, { memorySeconds, connections }) => {
    await runWrk(`http://127.0.0.1:${entrance}${paths.small}`, connections, memorySeconds);
    const client = memoryOf(running.client);
    const server = memoryOf(running.server);
    return {
      client: client.proportionalMb,
      server: server.proportionalMb,
      clientResident: client.residentMb,
      serverResident: server.residentMb,
    };
  },
};
