// How many connections between the proxies come of many new ones of the application.
import { readFileSync } from 'node:fs';
import { paths } from '../backends.js';
import { openCallers } from '../load/caller.js';
import type { Row } from './row.js';

const applicationConnections = 1000;

/** Ends of all connections to a loopback port, those included that ended a short while ago and wait out their time. */
export function connectionsTo(port: number, table: string): ReadonlySet<string> {
  const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = table.split('\n').map((line) => line.trim().split(/\s+/));
  return new Set(rows.filter((fields) => fields[2] === remote).map((fields) => fields[1]!));
}

const readTable = () => readFileSync('/proc/net/tcp', 'latin1');

export const newConnections: Row = {
  name: 'new-connections',
  title: `${applicationConnections} new connections of the application, one request each at once`,
  protocol: 'http1',
  isOfProxiesOnly: true,
  figures: [{ key: 'between', title: 'new connections between the proxies', digits: 0, ofProxies: true }],
  targets: [{ figure: 'between', atMost: 10 }],
  measure: async ({ chain, entrance }) => {
    const before = connectionsTo(chain.server, readTable());
    const callers = await openCallers(entrance, paths.small, applicationConnections);
    for (const caller of callers) caller.close();
    const after = connectionsTo(chain.server, readTable());
    return { between: [...after].filter((end) => !before.has(end)).length };
  },
};
