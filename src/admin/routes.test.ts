// The admin API: what each path answers, in which form.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Diagnostic } from '../api/diagnostic.js';
import { Collector } from '../telemetry/collector.js';
import type { MeshView, ObjectView } from './mesh-view.js';
import { createRoutes } from './routes.js';

const origin = { file: 'a.yaml', line: 3 };
const objects: ObjectView[] = [
  {
    object: {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      name: 'web',
      namespace: 'shop',
      labels: { a: 'b' },
      annotations: {},
      spec: { hosts: ['web'] },
      origin,
    },
    accepted: true,
    message: '',
  },
  {
    object: { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', name: 'bad', namespace: 'shop', origin },
    accepted: false,
    message: 'must name a host',
  },
  {
    object: {
      apiVersion: 'networking.istio.io/v1',
      kind: 'DestinationRule',
      name: 'web',
      namespace: 'shop',
      labels: {},
      annotations: {},
      spec: {},
      origin,
    },
    accepted: true,
    message: '',
  },
];
const diagnostics: Diagnostic[] = [
  { severity: 'error', code: 'IST0106', object: 'VirtualService/shop/bad', ...origin, path: '', message: 'm' },
];
const proxies: ReturnType<MeshView['proxies']> = [
  { workload: 'web-0', processes: 1, synced: false, inForce: false, errors: [], applied: [] },
];
const proxyConfig = { listeners: [], routes: [], clusters: [], endpoints: [], routeConfigurations: [] };
const proxyStatus: ReturnType<MeshView['proxyStatus']> = [
  { name: 'web-0', namespace: 'shop', processes: 1, types: [], errors: [], certificateEnds: null },
];
let refreshed = 0;
let isEnding = false;
const view: MeshView = {
  version: '0',
  directory: '.',
  trustDomain: 'cluster.local',
  workloads: () => [
    {
      uid: 'shop/web-0~2',
      name: 'web-0',
      namespace: 'shop',
      service: 'web',
      version: '',
      spiffeId: 'spiffe://x',
      ready: true,
    },
  ],
  isEnding: () => isEnding,
  objects: () => objects,
  diagnostics: () => diagnostics,
  plaintextWorkloads: () => [],
  proxies: () => proxies,
  proxyStatus: () => proxyStatus,
  proxyConfig: (namespace, workload) =>
    namespace === 'shop' && workload === 'web-0' ? { ...proxyConfig, workload, namespace } : undefined,
  collector: new Collector(() => 0),
  refresh: () => {
    refreshed++;
    return Promise.resolve();
  },
};
const answer = async (path: string) => createRoutes(view)(new URL(path, 'http://localhost'));
const jsonOf = async (path: string): Promise<unknown> => {
  const { status, contentType, body } = await answer(path);
  assert.deepEqual([status, contentType], [200, 'application/json; charset=utf-8']);
  return JSON.parse(body);
};

describe('the admin API', () => {
  it('is ready, until the mesh ends', async () => {
    assert.equal((await answer('/readyz')).status, 200);
    isEnding = true;
    assert.equal((await answer('/readyz')).status, 503);
    isEnding = false;
  });

  it('lists workloads without what is not for users', async () => {
    assert.deepEqual(await jsonOf('/api/workloads'), [
      { name: 'web-0', namespace: 'shop', service: 'web', version: '', spiffeId: 'spiffe://x', ready: true },
    ]);
  });

  it('lists diagnostics and proxies as they are', async () => {
    assert.deepEqual(await jsonOf('/api/diagnostics'), diagnostics);
    assert.deepEqual(await jsonOf('/api/proxies'), proxies);
  });

  it('has how far proxies have come, with what they say just now', async () => {
    const before = refreshed;
    assert.deepEqual(await jsonOf('/api/proxy-status'), proxyStatus);
    assert.equal(refreshed, before + 1);
  });

  it('has what the proxy of a workload should have, with what its ports have taught just now', async () => {
    const before = refreshed;
    assert.deepEqual(await jsonOf('/api/proxy-config/shop/web-0'), {
      ...proxyConfig,
      workload: 'web-0',
      namespace: 'shop',
    });
    assert.equal(refreshed, before + 1);
    for (const path of ['/api/proxy-config/shop/db-0', '/api/proxy-config/web-0', '/api/proxy-config/shop/web-0/x'])
      assert.equal((await answer(path)).status, 404);
  });

  it('lists objects of a kind as Kubernetes does, with what was accepted and where they stand', async () => {
    const item = (name: string, more: object, condition: object) => ({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name, namespace: 'shop', ...more },
      status: { conditions: [{ type: 'Accepted', ...condition }], origin: 'a.yaml:3' },
    });
    for (const kind of ['virtualservices', 'virtualservice', 'vs'])
      assert.deepEqual(await jsonOf(`/api/objects/${kind}`), {
        apiVersion: 'v1',
        kind: 'List',
        items: [
          {
            ...item(
              'web',
              { labels: { a: 'b' }, annotations: {} },
              { status: 'True', reason: 'Accepted', message: '' },
            ),
            spec: { hosts: ['web'] },
          },
          item('bad', {}, { status: 'False', reason: 'Invalid', message: 'must name a host' }),
        ],
      });
    assert.deepEqual(((await jsonOf('/api/objects/pa')) as { items: unknown[] }).items, []);
  });

  it('knows nothing else', async () => {
    for (const path of [
      '/api/objects/nope',
      '/api/objects/constructor',
      '/api/objects/',
      '/api/objects/vs/web',
      '/api',
      '/constructor',
      '/__proto__',
      '/.lateen/authority.pem',
    ])
      assert.equal((await answer(path)).status, 404, path);
  });

  it('gets fresh numbers before it prints metrics', async () => {
    const before = refreshed;
    const { contentType, body } = await answer('/metrics');
    assert.equal(refreshed, before + 1);
    assert.match(contentType, /^text\/plain; version=0\.0\.4/);
    for (const line of [
      'lateen_config_rejected{kind="VirtualService",namespace="shop",name="bad"} 1',
      'lateen_diagnostics{severity="error"} 1',
      'lateen_diagnostics{severity="warning"} 0',
      'lateen_workload_ready{namespace="shop",workload="web-0"} 1',
      'lateen_proxy_synced{workload="web-0"} 0',
    ])
      assert.ok(body.split('\n').includes(line), `${line}\nis not in\n${body}`);
    assert.doesNotMatch(body, /lateen_config_rejected\{[^}]*name="web"/);
  });
});
