// What is said of ports whose servers were seen to speak first.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { snapshotOf, workloadOf } from '../../test/harness/snapshots.js';
import { findServerFirstPorts } from './learned-findings.js';
import { listenerPorts } from './listener-ports.js';

const mesh = `
services:
  db: { port: 5432, command: a }
  told: { port: 5433, protocol: tcp, command: b }
  client: { command: c }
`;
const objects = `
apiVersion: v1
kind: Service
metadata: { name: selects, namespace: default }
spec: { selector: { app: db }, ports: [{ port: 1, protocol: UDP }, { port: 2, targetPort: 5432 }] }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: far, namespace: default }
spec: { hosts: [far.example.com], resolution: STATIC, ports: [{ number: 7, name: any }], endpoints: [{ address: 10.0.0.1 }] }
`;

/** What is said where every listener of these workloads has taught the same. */
async function said(...workloads: string[]): Promise<string[]> {
  const snapshot = await snapshotOf(mesh, objects);
  const seen = workloads.map((uid) => ({
    workload: uid,
    listeners: [
      ...listenerPorts(snapshot, workloadOf(snapshot, 'client-0')).keys(),
      ...listenerPorts(snapshot, workloadOf(snapshot, 'db-0')).keys(),
      'x',
    ],
  }));
  return findServerFirstPorts(snapshot, seen).map(
    ({ severity, code, object, path, message }) => `${severity} ${code} ${object || '-'} ${path}: ${message}`,
  );
}

describe('a port whose server speaks first', () => {
  const message = (port: number, service: string, how: string) =>
    `port ${port} of service ${service}: the server speaks first; ${how} to save up to 100 ms at the first connection of each caller`;

  it('is to be declared where it stands, said once for all callers, and not where it is declared', async () => {
    assert.deepEqual(await said('default/client-0', 'default/db-0'), [
      `info LAT0011 - services.db: ${message(5432, 'db', 'declare `protocol: tcp` in mesh.yaml, or name the port tcp-...,')}`,
      `info LAT0011 Service/default/selects spec.ports[1]: ${message(2, 'selects', 'declare `appProtocol: tcp`, or name the port tcp-...,')}`,
      `info LAT0011 ServiceEntry/default/far spec.ports[0].protocol: ${message(7, 'far.example.com', 'declare `protocol: TCP`')}`,
    ]);
  });

  it('is nothing to say of a workload that is gone', async () => {
    assert.deepEqual(await said('default/gone'), []);
  });
});
