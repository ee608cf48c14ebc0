// What a proxy costs while nobody asks it for anything.
import { setTimeout as sleep } from 'node:timers/promises';
import { paths } from '../backends.js';
import { openCallers } from '../load/caller.js';
import { startMeter, type Row } from './row.js';

const connections = 100;
/** What follows a request by itself (logs, reports) is over then. */
const settleMs = 2500;

export const idle: Row = {
  name: 'idle',
  title: `${connections} open connections, nothing asked`,
  protocol: 'http1',
  isOfProxiesOnly: true,
  figures: [
    { key: 'client', title: 'client CPU ms/s', digits: 2, ofProxies: true },
    { key: 'server', title: 'server CPU ms/s', digits: 2, ofProxies: true },
  ],
  targets: ['client', 'server'].map((figure) => ({ figure, atMost: 2 })),
  measure: async ({ running, entrance }, { seconds }) => {
    const callers = await openCallers(entrance, paths.small, connections);
    try {
      await sleep(settleMs);
      const meter = startMeter(running);
      await sleep(seconds * 1000);
      const { client, server } = meter();
      return { client: client / 1000 / seconds, server: server / 1000 / seconds };
    } finally {
      for (const caller of callers) caller.close();
    }
  },
};
