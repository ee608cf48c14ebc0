// mesh.yaml becomes services and instances: names, identities, labels, ports, and what applications find in their environment.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { meshFileOf } from '../../test/harness/objects.js';
import { applicationEnvironment, assignPorts, assignUpstreams, createPlan, type Plan } from './plan.js';

const planOf = (services: string, more = '') =>
  createPlan(meshFileOf(`${more}services:\n${services.replace(/^(?=.)/gm, '  ')}`));

/** Ports in the order in which they are asked for, and what for. */
function counter() {
  const asked: string[] = [];
  return {
    asked,
    allocate: (purpose: string) => {
      asked.push(purpose);
      return Promise.resolve(19_999 + asked.length);
    },
  };
}

async function environmentOf(plan: Plan, key: string): Promise<Record<string, string>> {
  const instance = plan.instances.find((candidate) => candidate.key === key)!;
  const workload = await assignPorts(key, instance, plan.services, counter().allocate);
  return applicationEnvironment(workload, instance, plan.services);
}

describe('a service', () => {
  it('is called by its name and namespace, and vouched for by its account', () => {
    const plan = planOf(
      'a: {command: x, port: 80}\nb: {command: x, port: 81, namespace: shop, serviceAccount: other}',
      'meshConfig: {trustDomain: example.org}\n',
    );
    assert.deepEqual(plan.services, [
      {
        name: 'a',
        namespace: 'default',
        host: 'a.default.svc.cluster.local',
        ports: [{ name: 'port-80', port: 80, protocol: 'detect' }],
        identities: ['spiffe://example.org/ns/default/sa/a'],
      },
      {
        name: 'b',
        namespace: 'shop',
        host: 'b.shop.svc.cluster.local',
        ports: [{ name: 'port-81', port: 81, protocol: 'detect' }],
        identities: ['spiffe://example.org/ns/shop/sa/other'],
      },
    ]);
  });

  it('has ports named after their protocol where they have no name', () => {
    const [service] = planOf(
      'a: {command: x, ports: [{port: 80, protocol: http}, {port: 81}, {port: 82, name: db, protocol: tcp}]}',
    ).services;
    assert.deepEqual(service!.ports, [
      { name: 'http-80', port: 80, protocol: 'http' },
      { name: 'port-81', port: 81, protocol: 'detect' },
      { name: 'db', port: 82, protocol: 'tcp' },
    ]);
  });

  it('without a port is none, but its instances run', () => {
    const plan = planOf('client: {command: x}');
    assert.deepEqual(plan.services, []);
    assert.deepEqual(
      plan.instances.map(({ key }) => key),
      ['default/client-0'],
    );
  });
});

describe('instances', () => {
  it('are named after service, version and number', () => {
    const plan = planOf(
      'a: {command: x, replicas: 2}\nb: {namespace: shop, versions: {v1: {command: x, replicas: 2}, v2: {command: x}}}',
    );
    assert.deepEqual(
      plan.instances.map(({ key, identity }) => `${key} of ${identity.workloadName}`),
      ['default/a-0 of a', 'default/a-1 of a', 'shop/b-v1-0 of b-v1', 'shop/b-v1-1 of b-v1', 'shop/b-v2-0 of b-v2'],
    );
  });

  it('are labelled with app and version, which nothing overwrites', () => {
    const plan = planOf(
      'a: {command: x, labels: {team: t, app: other}}\nb: {versions: {v1: {command: x}}, labels: {version: v9}}',
    );
    assert.deepEqual(
      plan.instances.map(({ identity }) => identity.labels),
      [
        { team: 't', app: 'a' },
        { version: 'v1', app: 'b' },
      ],
    );
  });

  it('have the variables of their version as texts', () => {
    const plan = planOf('a: {versions: {v1: {command: x, env: {A: 1, B: true, C: c}}, v2: {command: [y, z]}}}');
    assert.deepEqual(
      plan.instances.map(({ env, command }) => ({ env, command })),
      [
        { env: { A: '1', B: 'true', C: 'c' }, command: 'x' },
        { env: {}, command: ['y', 'z'] },
      ],
    );
  });

  it('that run already have an address and no command', () => {
    const [instance] = planOf('a: {port: 80, address: "127.0.0.1:8080"}').instances;
    assert.deepEqual([instance!.command, instance!.address], [undefined, { address: '127.0.0.1', port: 8080 }]);
  });

  it('keep their fingerprint while what concerns them stays', () => {
    const fingerprints = (services: string) => planOf(services).instances.map(({ fingerprint }) => fingerprint);
    const [a, b] = fingerprints('a: {command: x, port: 80}\nb: {command: y}');
    assert.deepEqual(
      fingerprints('a: {command: x, port: 80}\nb: {command: z}').map((one, i) => one === [a, b][i]),
      [true, false],
    );
    for (const change of [
      '{command: x, port: 81}',
      '{command: x, port: 80, env: {A: b}}',
      '{command: x, port: 80, labels: {l: m}}',
      '{command: x, port: 80, serviceAccount: s}',
      '{command: x, port: 80, inboundPort: 9000}',
      '{command: x, port: 80, upstreams: {a: 9001}}',
      '{address: "127.0.0.1:1", port: 80}',
    ])
      assert.notEqual(fingerprints(`a: ${change}`)[0], a, change);
  });
});

describe('ports', () => {
  const plan = planOf(
    'a: {command: x, ports: [{port: 80}, {port: 81}]}\nb: {port: 90, address: "127.0.0.1:1"}\nclient: {command: y, outboundPort: 8001, upstreams: {b: 5433, "a:81": 5434}}',
  );

  it('are given to everything that needs one, each for a purpose of its own', async () => {
    const { asked, allocate } = counter();
    const workload = await assignPorts('a~1', plan.instances[0]!, plan.services, allocate);
    assert.equal(new Set(asked).size, asked.length);
    assert.deepEqual(
      workload.ports.map(({ port, inbound, app }) => [port, inbound.port, app.port]),
      [
        [80, 20_000, 20_001],
        [81, 20_002, 20_003],
      ],
    );
    assert.equal(workload.outboundHttp.port, 20_004);
    assert.deepEqual(
      workload.upstreams.map(({ host, port, listen }) => [host.split('.')[0], port, listen.port]),
      [
        ['a', 80, 20_005],
        ['a', 81, 20_006],
        ['b', 90, 20_007],
      ],
    );
    assert.ok(asked.every((purpose) => purpose.startsWith('a~1 ')));
    assert.equal(workload.ready, false);
  });

  it('that the file fixes are taken as they are', async () => {
    const client = await assignPorts('client', plan.instances[2]!, plan.services, counter().allocate);
    assert.deepEqual(
      [client.outboundHttp.port, client.upstreams.map(({ listen }) => listen.port)],
      [8001, [20_000, 5434, 5433]],
    );
    const again = await assignUpstreams('client', plan.instances[2]!, plan.services.slice(1), counter().allocate);
    assert.deepEqual(
      again.map(({ listen }) => listen.port),
      [5433],
    );
  });

  it('that the file gives to hosts of ServiceEntries lead there, whatever services there are', async () => {
    const { instances } = planOf(
      'a: {command: x, port: 80}\nclient: {command: y, upstreams: {"API.example.com:443": 5433}}',
    );
    const foreign = { host: 'api.example.com', port: 443, listen: { address: '127.0.0.1', port: 5433 } };
    assert.deepEqual(await assignUpstreams('client', instances[1]!, [], counter().allocate), [foreign]);
  });

  it('of an application that runs already are where it runs', async () => {
    const b = await assignPorts('b', plan.instances[1]!, plan.services, counter().allocate);
    assert.deepEqual(b.ports[0]!.app, { address: '127.0.0.1', port: 1 });
  });
});

describe('the environment of an application', () => {
  const plan =
    planOf(`web-app: {command: x, namespace: shop, ports: [{port: 80, name: main}, {port: 81, name: admin-ui}], env: {PORT_MAIN: mine, HTTP_PROXY: ''}}
db: {command: x, namespace: shop, port: 5432, protocol: tcp}
api: {command: x, ports: [{port: 90}, {port: 91, protocol: http}, {port: 92, protocol: grpc}]}
tls: {command: x, port: 443, protocol: tls}`);

  it('says where to listen', async () => {
    const env = await environmentOf(plan, 'shop/web-app-0');
    assert.deepEqual([env['PORT'], env['PORT_ADMIN_UI']], ['20001', '20003']);
    assert.equal((await environmentOf(planOf('client: {command: x}'), 'default/client-0'))['PORT'], undefined);
  });

  it('is outweighed by what the file says', async () => {
    const env = await environmentOf(plan, 'shop/web-app-0');
    assert.deepEqual([env['PORT_MAIN'], env['HTTP_PROXY']], ['mine', '']);
  });

  it('says how services are reached: URL where HTTP is possible, ADDR where bytes are', async () => {
    const env = await environmentOf(plan, 'shop/db-0');
    const reached = Object.keys(env)
      .filter((name) => /_(URL|ADDR)$/.test(name))
      .sort();
    assert.deepEqual(reached, [
      'API_DEFAULT_ADDR',
      'API_DEFAULT_GRPC_92_ADDR',
      'API_DEFAULT_GRPC_92_URL',
      'API_DEFAULT_HTTP_91_URL',
      'API_DEFAULT_URL',
      'DB_ADDR',
      'TLS_DEFAULT_ADDR',
      'WEB_APP_ADDR',
      'WEB_APP_ADMIN_UI_ADDR',
      'WEB_APP_ADMIN_UI_URL',
      'WEB_APP_URL',
    ]);
    assert.match(env['API_DEFAULT_URL']!, /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.match(env['DB_ADDR']!, /^127\.0\.0\.1:\d+$/);
  });

  it('leads other HTTP through the proxy, in both spellings, but not what is local', async () => {
    const env = await environmentOf(plan, 'shop/db-0');
    assert.equal(env['HTTP_PROXY'], env['http_proxy']);
    assert.match(env['HTTP_PROXY']!, /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.deepEqual(
      [env['NO_PROXY'], env['no_proxy'], env['NODE_USE_ENV_PROXY']],
      ['localhost,127.0.0.1,::1', 'localhost,127.0.0.1,::1', '1'],
    );
  });
});
