// What `proxy-config` shows of a proxy.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { snapshotOf, workloadOf } from '../../../test/harness/snapshots.js';
import { compileWorkload } from '../../compile/compile.js';
import type { LearnedPort } from '../../telemetry/learned-ports.js';
import { viewProxyConfig } from './proxy-config.js';

const mesh = `
services:
  web: { port: 80, protocol: http, versions: { v1: { command: a }, v2: { command: b } } }
  db: { port: 5432, command: c }
`;
const objects = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http:
    - match: [{ uri: { prefix: /a }, headers: { x: { exact: b } } }]
      redirect: { uri: /b }
    - route: [{ destination: { host: web, subset: v1 }, weight: 3 }, { destination: { host: web, subset: v2 }, weight: 1 }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web }
spec: { host: web, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }] }
`;

async function view(learned: readonly LearnedPort[] = []) {
  const snapshot = await snapshotOf(mesh, objects);
  const workload = workloadOf(snapshot, 'db-0');
  return viewProxyConfig(snapshot, workload, compileWorkload(snapshot, workload).resources, learned);
}

describe('the view of a proxy', () => {
  it('has its listeners, with the ports for which they stand and where their chains lead', async () => {
    const { listeners } = await view();
    const inbound = listeners.find(({ direction }) => direction === 'inbound')!;
    assert.deepEqual(
      [inbound.service, inbound.port, inbound.declared, inbound.learned],
      ['db.default.svc.cluster.local', 5432, 'detect', null],
    );
    assert.deepEqual(
      inbound.chains.map(({ match, carries, to }) => `${match}: ${carries} ${to}`),
      [
        'mTLS lateen-h2 +4: HTTP inbound|5432||',
        'mTLS lateen-tcp +1: bytes inbound|5432||',
        'plaintext http/1.0 +2: HTTP inbound|5432||',
        'plaintext: bytes inbound|5432||',
        'TLS of the applications: bytes inbound|5432||',
      ],
    );
    const forAll = listeners.find(({ service, address }) => service === null && address !== null)!;
    assert.deepEqual(
      forAll.chains.map(({ match, carries, to }) => `${match}: ${carries} ${to}`),
      ['plaintext: HTTP routes http_proxy'],
    );
  });

  it('has what was learned where nothing is declared', async () => {
    const { listeners } = await view();
    const learned = listeners.map(({ name }) => ({ listener: name, protocol: 'server-first' as const, sinceMs: 0 }));
    const told = (await view(learned)).listeners.filter((listener) => listener.learned !== null);
    assert.deepEqual(
      [...new Set(told.map(({ declared, since }) => `${declared} ${since}`))],
      ['detect 1970-01-01T00:00:00.000Z'],
    );
  });

  it('has its routes, with the rules that say so', async () => {
    const { routes, routeConfigurations } = await view();
    assert.deepEqual(
      routes
        .filter(({ configuration }) => configuration === 'web.default.svc.cluster.local:80')
        .map(({ domains, match, to, source }) => [domains.length > 0, match, to, source]),
      [
        [true, 'prefix /a x', 'redirect', 'VirtualService/default/web spec.http[0].match[0]'],
        [
          true,
          '*',
          'outbound|80|v1|web.default.svc.cluster.local (3), outbound|80|v2|web.default.svc.cluster.local (1)',
          'VirtualService/default/web spec.http[1]',
        ],
      ],
    );
    assert.ok(routeConfigurations.length > 0);
  });

  it('has its clusters and their endpoints', async () => {
    const { clusters, endpoints } = await view();
    assert.deepEqual(
      clusters
        .filter(({ name }) => /^(outbound\|.*web|inbound)/.test(name))
        .map(({ name, http, security, endpoints: count, source }) => [name, http, security, count, source]),
      [
        [
          'outbound|80||web.default.svc.cluster.local',
          'HTTP/1.1',
          'mTLS where taken',
          2,
          'DestinationRule/default/web spec',
        ],
        [
          'outbound|80|v1|web.default.svc.cluster.local',
          'HTTP/1.1',
          'mTLS where taken',
          1,
          'DestinationRule/default/web spec.subsets[0]',
        ],
        [
          'outbound|80|v2|web.default.svc.cluster.local',
          'HTTP/1.1',
          'mTLS where taken',
          1,
          'DestinationRule/default/web spec.subsets[1]',
        ],
        ['inbound|5432||', 'as caller', 'plaintext', 1, null],
      ],
    );
    assert.deepEqual(
      endpoints.find(({ cluster }) => cluster === 'outbound|80|v1|web.default.svc.cluster.local'),
      {
        cluster: 'outbound|80|v1|web.default.svc.cluster.local',
        address: '127.0.0.1:20000',
        weight: 1,
        security: 'mTLS',
        workload: 'web-v1.default',
      },
    );
  });
});
