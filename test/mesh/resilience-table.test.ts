// The rows of docs/resilience.md on a running mesh: what callers get, with which flags, and how often a server was asked for it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { request, type RequestOptions } from '../harness/http.js';
import { eventually, root, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

/** Rows of the table: what is done here, and the status and flags by which it is seen. */
const table = new Map(
  [
    ...readFileSync(join(root, 'docs/resilience.md'), 'utf8').matchAll(/^\| ([a-z-]+) \| .+ \| (.+) \| (\d.*) \|$/gm),
  ].map(([, row, here, seen]) => [row!, { here: here!, seen: seen! }]),
);

/** One that works, and two that answer 500 to everything. */
type ServerName = 'works' | 'fails' | 'too';
/** How often each path was asked for, by server. */
const asked: Readonly<Record<ServerName, Map<string, number>>> = { works: new Map(), fails: new Map(), too: new Map() };
const held = new Set<http.ServerResponse>();

/** /fail/KEY/STATUS answers so every time, /lose/KEY/N cuts the first N connections, /hold/KEY waits; all else is 200, or the status. */
function serve(name: ServerName, otherwise: number): http.Server {
  return http.createServer((incoming, response) => {
    incoming.resume();
    const [, verb, , argument] = incoming.url!.split('/');
    const times = (asked[name].get(incoming.url!) ?? 0) + 1;
    asked[name].set(incoming.url!, times);
    if (verb === 'lose' && times <= Number(argument)) incoming.once('end', () => incoming.socket.resetAndDestroy());
    else if (verb === 'hold') {
      held.add(response);
      response.on('close', () => held.delete(response));
    } else response.writeHead(verb === 'fail' ? Number(argument) : otherwise).end(name);
  });
}

interface Service {
  /** Of the one rule of its VirtualService. */
  readonly rule?: string;
  readonly policy?: string;
  readonly subsets?: string;
  /** Default: the one that works. */
  readonly endpoints?: readonly (ServerName | 'nobody')[];
}

const ejects = (percent: number) =>
  `loadBalancer: { simple: ROUND_ROBIN }, outlierDetection: { consecutive5xxErrors: 2, interval: 200ms, baseEjectionTime: 1s, maxEjectionPercent: ${percent} }`;
const oneAtATime = 'connectionPool: { tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 1 } }';
const services: Readonly<Record<string, Service>> = {
  plain: {},
  nobody: { endpoints: ['nobody'] },
  zero: { rule: 'retries: { attempts: 0 }' },
  again: { rule: 'retries: { attempts: 3, retryOn: "5xx,reset" }' },
  status: { rule: 'retries: { attempts: 2, retryOn: "418" }' },
  tries: { rule: 'retries: { attempts: 2, perTryTimeout: 200ms, retryOn: reset }' },
  limited: { rule: 'timeout: 400ms, retries: { attempts: 9, perTryTimeout: 150ms, retryOn: reset }' },
  single: { rule: 'retries: { attempts: 5, retryOn: 5xx }', policy: 'connectionPool: { http: { maxRetries: 1 } }' },
  narrow: { policy: oneAtATime },
  counted: { policy: 'connectionPool: { http: { http2MaxRequests: 1 } }' },
  subset: { policy: oneAtATime, subsets: '[{ name: all, trafficPolicy: { loadBalancer: { simple: RANDOM } } }]' },
  port: {
    policy: `${oneAtATime}, portLevelSettings: [{ port: { number: 80 }, loadBalancer: { simple: RANDOM } }]`,
  },
  ejected: { endpoints: ['works', 'fails'], policy: ejects(50), rule: 'retries: { attempts: 0 }' },
  kept: { endpoints: ['fails', 'too'], policy: ejects(50), rule: 'retries: { attempts: 0 }' },
  gone: {
    endpoints: ['fails'],
    policy: ejects(100),
    rule: 'retries: { attempts: 0 }',
  },
  aborted: { rule: 'fault: { abort: { httpStatus: 555, percentage: { value: 100 } } }' },
  delayed: { rule: 'fault: { delay: { fixedDelay: 50ms, percentage: { value: 100 } } }' },
  copied: { rule: 'mirror: { host: again.example }, retries: { attempts: 0 }' },
  crossed: { rule: 'corsPolicy: { allowOrigins: [{ exact: "https://a.example" }], allowMethods: [GET] }' },
  direct: { rule: 'directResponse: { status: 418 }' },
};

const api = 'apiVersion: networking.istio.io/v1';
function objectsFor(name: string, { rule, policy = '', subsets }: Service, ports: readonly number[]): string {
  const host = `${name}.example`;
  const endpoints = ports.map((port) => `{ address: 127.0.0.1, ports: { http: ${port} } }`).join(', ');
  const route = rule?.startsWith('direct')
    ? ''
    : `route: [{ destination: { host: ${host}${subsets === undefined ? '' : ', subset: all'} } }]`;
  return `---
${api}
kind: ServiceEntry
metadata: { name: ${name} }
spec: { hosts: [${host}], resolution: STATIC, ports: [{ number: 80, name: http, protocol: HTTP }], endpoints: [${endpoints}] }
---
${api}
kind: DestinationRule
metadata: { name: ${name} }
spec: { host: ${host}, trafficPolicy: { ${policy} }${subsets === undefined ? '' : `, subsets: ${subsets}`} }
---
${api}
kind: VirtualService
metadata: { name: ${name} }
spec: { hosts: [${host}], http: [{ ${[route, rule].filter((part) => part !== undefined && part !== '').join(', ')} }] }
`;
}

let mesh: TestMesh;
const servers: Server[] = [];

const send = (service: string, path: string, options: Partial<RequestOptions> = {}) =>
  request({
    ...options,
    port: mesh.workload('client-0').outboundHttp.port,
    path,
    headers: { host: `${service}.example`, ...options.headers },
  });
const timesAt = (path: string, server: ServerName = 'works') => asked[server].get(path) ?? 0;
const counted = async (name: string, labels: Record<string, string>) => sumOf(await scrape(mesh.run.url), name, labels);

/** The status of a request and the flags in its line of the log. */
async function seen(service: string, path: string, options: Partial<RequestOptions> = {}): Promise<string> {
  const id = `${service}${path.replaceAll('/', '-')}-${Math.random()}`;
  const { status } = await send(service, path, { ...options, headers: { ...options.headers, 'x-request-id': id } });
  const line = await eventually(
    () =>
      readFileSync(join(mesh.directory, 'access.log'), 'utf8')
        .split('\n')
        .find((candidate) => candidate.includes(`"${id}"`)),
    `the line of ${id}`,
  );
  const flags = /HTTP\/1\.1" \d+ (\S+)/.exec(line)![1]!;
  return flags === '-' ? String(status) : `${status} ${flags}`;
}

/** Sends so many at once to a server that holds them; all that are not refused are answered in the end. */
async function together(service: string, path: string, count: number): Promise<{ ok: number; refused: number }> {
  const statuses: number[] = [];
  const all = Array.from({ length: count }, async () => statuses.push((await send(service, path)).status));
  await eventually(() => {
    if (statuses.length + held.size === count || statuses.includes(503)) for (const response of held) response.end();
    return statuses.length === count;
  }, `${count} answers`);
  await Promise.all(all);
  return { ok: statuses.filter((status) => status === 200).length, refused: statuses.filter((s) => s === 503).length };
}

/** What it takes to see a row: resolves with its status and flags. */
const rows: Readonly<Record<string, () => Promise<string>>> = {
  'default-status': async () => {
    const outcome = await seen('plain', '/fail/status/503');
    assert.equal(timesAt('/fail/status/503'), 1);
    return outcome;
  },
  'default-connect': async () => {
    const labels = { destination_service: 'nobody.example', outcome: 'tried' };
    const outcome = await seen('nobody', '/');
    await eventually(async () => (await counted('lateen_retries_total', labels)) === 2, 'two retries counted');
    return outcome;
  },
  'default-lost': async () => {
    const outcome = await seen('plain', '/lose/post/9', { method: 'POST' });
    assert.equal(timesAt('/lose/post/9'), 1);
    await send('plain', '/kept'); // leaves a connection behind
    assert.equal(await seen('plain', '/lose/get/9'), '503 UC');
    assert.ok(timesAt('/lose/get/9') <= 2);
    return outcome;
  },
  'attempts-zero': async () => {
    const outcome = await seen('zero', '/fail/zero/503');
    assert.equal(timesAt('/fail/zero/503'), 1);
    return outcome;
  },
  'retry-on': async () => {
    const outcome = await seen('again', '/fail/again/503');
    assert.equal(timesAt('/fail/again/503'), 4);
    return outcome;
  },
  'retry-on-status': async () => {
    assert.equal(await seen('status', '/fail/other/503'), '503');
    const outcome = await seen('status', '/fail/teapot/418');
    assert.deepEqual([timesAt('/fail/teapot/418'), timesAt('/fail/other/503')], [3, 1]);
    return outcome;
  },
  'retry-lost': async () => {
    const outcome = await seen('again', '/lose/again/2', { method: 'POST', body: 'x'.repeat(1000) });
    assert.equal(timesAt('/lose/again/2'), 3);
    return outcome;
  },
  'per-try-timeout': async () => {
    const outcome = await seen('tries', '/hold/tries');
    assert.equal(timesAt('/hold/tries'), 3);
    return outcome;
  },
  timeout: async () => {
    const outcome = await seen('limited', '/hold/limited');
    const times = timesAt('/hold/limited');
    assert.ok(times > 1 && times <= 3, `${times} tries of 150 ms within 400 ms`);
    return outcome;
  },
  'retry-budget': async () => {
    const total = 40;
    const labels = { destination_service: 'again.example', outcome: 'budget_exceeded' };
    const before = await counted('lateen_retries_total', labels);
    await Promise.all(Array.from({ length: total }, () => send('again', '/fail/budget/503')));
    await eventually(async () => (await counted('lateen_retries_total', labels)) > before, 'the budget is exceeded');
    const flag = { destination_service_name: 'again.example', response_flags: 'UO' };
    assert.ok((await counted('istio_requests_total', flag)) > 0);
    assert.ok(timesAt('/fail/budget/503') < 4 * total, `${timesAt('/fail/budget/503')} of ${4 * total}`);
    return '503 UO';
  },
  'max-retries': async () => {
    await Promise.all(Array.from({ length: 20 }, () => send('single', '/fail/single/503')));
    const flag = { destination_service_name: 'single.example', response_flags: 'UO' };
    await eventually(async () => (await counted('istio_requests_total', flag)) > 0, 'the limit is reached');
    assert.ok(timesAt('/fail/single/503') < 6 * 20, `${timesAt('/fail/single/503')}`);
    return '503 UO';
  },
  'max-connections': () => refusedAt('narrow', 6, 2),
  'max-requests': () => refusedAt('counted', 6, 1),
  'subset-settings': () => refusedAt('subset', 6, 2),
  'port-settings': async () => {
    assert.deepEqual(await together('port', '/hold/port', 6), { ok: 6, refused: 0 });
    assert.equal(timesAt('/hold/port'), 6);
    return '200';
  },
  ejection: async () => {
    await eventually(async () => {
      const statuses = [];
      for (let i = 0; i < 6; i++) statuses.push((await send('ejected', '/six')).status);
      return statuses.every((status) => status === 200);
    }, 'six answers of the one that works');
    return '200';
  },
  'ejection-return': async () => {
    const times = timesAt('/return', 'fails');
    await eventually(async () => (await send('ejected', '/return')).status === 500, 'the other to be asked again');
    assert.ok(timesAt('/return', 'fails') > times);
    return '500';
  },
  'ejection-limit': async () => {
    for (let i = 0; i < 20; i++) assert.equal((await send('kept', '/kept')).status, 500);
    const [fails, too] = [timesAt('/kept', 'fails'), timesAt('/kept', 'too')];
    assert.equal(fails + too, 20);
    assert.ok(Math.abs(fails - too) > 5, `${fails} and ${too}: the control: one of them is ejected`);
    return '500';
  },
  'all-ejected': async () => {
    await eventually(async () => (await send('gone', '/gone')).status === 503, 'the only one ejected');
    const times = timesAt('/gone', 'fails');
    const outcome = await seen('gone', '/gone');
    assert.equal(timesAt('/gone', 'fails'), times);
    return outcome;
  },
  'fault-abort': async () => {
    const outcome = await seen('aborted', '/aborted');
    assert.equal(timesAt('/aborted'), 0);
    return outcome;
  },
  'fault-delay': async () => {
    const outcome = await seen('delayed', '/delayed');
    assert.equal(timesAt('/delayed'), 1);
    return outcome;
  },
  mirror: async () => {
    const total = 5;
    for (let i = 0; i < total; i++) assert.equal(await seen('copied', '/copied'), '200');
    await eventually(() => timesAt('/copied') === 2 * total, 'a copy of each');
    assert.equal(await seen('copied', '/fail/copied/503'), '503');
    await eventually(() => timesAt('/fail/copied/503') === 2, 'a copy, which is not tried again');
    return '200';
  },
  cors: async () => {
    const headers = { origin: 'https://a.example', 'access-control-request-method': 'GET' };
    const outcome = await seen('crossed', '/crossed', { method: 'OPTIONS', headers });
    assert.equal(timesAt('/crossed'), 0);
    return outcome;
  },
  'direct-response': async () => {
    const outcome = await seen('direct', '/direct');
    assert.equal(timesAt('/direct'), 0);
    return outcome;
  },
};

/** Of `count` requests at a time `ok` reach the server, and the others are refused at once. */
async function refusedAt(service: string, count: number, ok: number): Promise<string> {
  const path = `/hold/${service}`;
  await send(service, '/warm'); // a request that waits for its connection to open counts as waiting
  assert.deepEqual(await together(service, path, count), { ok, refused: count - ok });
  assert.equal(timesAt(path), ok);
  const flag = { destination_service_name: `${service}.example`, response_flags: 'UO' };
  await eventually(async () => (await counted('istio_requests_total', flag)) === count - ok, 'the flag UO');
  return '503 UO';
}

describe('when services fail', () => {
  before(async () => {
    const listen = async (server: Server) => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return (server.address() as AddressInfo).port;
    };
    servers.push(serve('works', 200), serve('fails', 500), serve('too', 500));
    const [works, fails, too] = (await Promise.all(servers.map(listen))) as [number, number, number];
    const closed = net.createServer();
    const ports = { works, fails, too, nobody: await listen(closed) };
    await new Promise((resolve) => closed.close(resolve));
    mesh = await TestMesh.start({
      'mesh.yaml': 'meshConfig: { accessLogFile: access.log }\nservices: { client: { command: sleep 1000 } }\n',
      'objects.yaml': Object.entries(services)
        .map(([name, service]) =>
          objectsFor(
            name,
            service,
            (service.endpoints ?? ['works']).map((endpoint) => ports[endpoint]),
          ),
        )
        .join(''),
    });
    assert.deepEqual(await mesh.diagnostics(), []);
  });
  after(async () => {
    await mesh?.close();
    for (const server of servers) server.close();
  });

  it('every row of the table has its test, and every test its row', () =>
    assert.deepEqual([...table.keys()], Object.keys(rows)));

  for (const [row, check] of Object.entries(rows))
    it(`${row}: ${table.get(row)?.here}`, async () => assert.equal(await check(), table.get(row)?.seen));
});
