// What `get workloads` prints of an instance.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { meshFileOf } from '../../test/harness/objects.js';
import { assignPorts, createPlan } from './plan.js';
import { createRunEntry } from './run-file.js';

const plan = createPlan(
  meshFileOf(
    'services:\n  api: {namespace: shop, ports: [{port: 80}, {port: 81}], versions: {v1: {command: x}}}\n  db: {port: 5432, command: x}\n  client: {namespace: shop, command: x}\n',
  ),
);
async function entryOf(index: number, pid?: number) {
  let port = 20_000;
  const planned = plan.instances[index]!;
  const workload = await assignPorts(planned.key, planned, plan.services, () => Promise.resolve(port++));
  return createRunEntry({ planned, workload, pid, proxyPid: undefined, workerPids: [] });
}

describe('an entry', () => {
  it('names everything of an instance', async () => {
    assert.deepEqual(await entryOf(0, 42), {
      name: 'api-v1-0',
      namespace: 'shop',
      service: 'api',
      version: 'v1',
      spiffeId: 'spiffe://cluster.local/ns/shop/sa/api',
      pid: 42,
      proxyPid: null,
      workerPids: [],
      app: { address: '127.0.0.1', port: 20_001 },
      inbound: { address: '127.0.0.1', port: 20_000 },
      outboundHttp: { address: '127.0.0.1', port: 20_004 },
      upstreams: { api: 20_005, 'api:81': 20_006, 'db.default': 20_007 },
      ready: false,
    });
  });

  it('has nulls and an empty version where there is nothing', async () => {
    const { version, pid, app, inbound } = await entryOf(2);
    assert.deepEqual({ version, pid, app, inbound }, { version: '', pid: null, app: null, inbound: null });
  });

  it('names upstreams as they are called from its namespace', async () => {
    assert.deepEqual(Object.keys((await entryOf(1)).upstreams), ['api.shop', 'api.shop:81', 'db']);
  });
});
