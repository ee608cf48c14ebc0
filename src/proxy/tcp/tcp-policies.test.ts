// Connections of bytes that policies deny: nobody is connected to, and the log and the counts say who denied.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { connectionOf, policiesOf } from '../../../test/harness/authorization.js';
import { MemorySocket, settle } from '../../../test/harness/memory-socket.js';
import type { AccessRecord } from '../../telemetry/access-log/record.js';
import { unknownParty } from '../../telemetry/istio-labels.js';
import { connectionLayout, SeriesRegistry } from '../../telemetry/series.js';
import type { Cluster } from '../cluster/cluster.js';
import { TcpFilter, type TcpSettings } from './tcp-filter.js';

const denyStrangers = policiesOf({
  policies: {
    'ns[shop]-policy[friends]-rule[0]': {
      permissions: [{ any: true }],
      principals: [{ authenticated: { principalName: { suffix: '/sa/friend' } } }],
    },
  },
});

function scene(policies: TcpSettings['policies']) {
  const logged: AccessRecord[] = [];
  const registry = new SeriesRegistry();
  let connects = 0;
  const endpoint = {
    active: 0,
    host: '10.0.0.1:1',
    options: { party: unknownParty },
    connect: () => (connects++, () => undefined),
  };
  const cluster = {
    usage: { hasRoomForConnection: true, connections: 0 },
    outliers: undefined,
    service: { host: 'db.example', name: 'db', namespace: 'shop' },
    pick: () => endpoint,
  };
  const environment = {
    findCluster: () => cluster as unknown as Cluster,
    random: () => 0,
    self: () => ({ ...unknownParty, workload: 'db', namespace: 'shop' }),
    registry,
    accessLogs: [{ format: (record: AccessRecord) => (logged.push(record), ''), write: () => undefined }],
  };
  const destinations = [{ cluster: 'c', weight: 1 }];
  const create = (policy: TcpSettings['policies']) =>
    new TcpFilter(
      { direction: 'inbound', destinations, idleTimeoutMs: 1e6, maxDurationMs: Infinity, policies: policy },
      environment,
    );
  const filter = create(policies);
  return {
    logged,
    registry,
    connects: () => connects,
    takePolicies: (others: TcpSettings['policies']) => filter.takePolicies(create(others)),
    connect: async (from?: string) => {
      const socket = new MemorySocket();
      let closed = false;
      filter.handle(
        socket.socket,
        Buffer.from('x'),
        connectionOf(from === undefined ? {} : { from }, 5432),
        () => (closed = true),
      );
      await settle();
      const state = { closed, destroyed: socket.destroyed };
      socket.destroy();
      return state;
    },
  };
}

it('a connection that is denied is closed, logged and counted', async () => {
  const at = scene(denyStrangers);
  assert.deepEqual(await at.connect('shop/stranger'), { closed: true, destroyed: true });
  assert.equal(at.connects(), 0);
  const [logged] = at.logged;
  assert.deepEqual(
    [logged!.responseFlags, logged!.connectionTerminationDetails, logged!.upstreamHost],
    ['-', 'rbac_access_denied_matched_policy[none]', undefined],
  );
  const counted = at.registry.all.find(({ name }) => name === 'lateen_authorization_denied_total')!;
  assert.deepEqual(
    [counted.labels, counted.values[0]],
    [['workload', 'db', 'namespace', 'shop', 'policy', 'none', 'protocol', 'tcp'], 1],
  );
  const connections = at.registry.all.find(({ labels }) => labels.includes('db.example'))!;
  assert.deepEqual([connections.values[connectionLayout.opened], connections.values[connectionLayout.closed]], [1, 1]);
});

it('a connection that is allowed goes on', async () => {
  const at = scene(denyStrangers);
  assert.deepEqual(await at.connect('shop/friend'), { closed: false, destroyed: false });
  assert.equal(at.connects(), 1);
});

it('policies that change hold for the next connection', async () => {
  const at = scene(undefined);
  await at.connect();
  assert.equal(at.takePolicies(denyStrangers), true);
  assert.deepEqual(await at.connect(), { closed: true, destroyed: true });
  assert.equal(at.takePolicies(undefined), true);
  await at.connect();
  assert.equal(at.connects(), 2);
});
