// Holds the whole path of a request to what the layers promise together: two connections in memory and all that is between.
import assert from 'node:assert/strict';
import { afterEach, describe, it, mock } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { MemorySocket, settle } from '../../../test/harness/memory-socket.js';
import type { AccessRecord } from '../../telemetry/access-log/record.js';
import { unknownParty, type Party } from '../../telemetry/istio-labels.js';
import { requestLayout, SeriesRegistry, type Series } from '../../telemetry/series.js';
import { RouteConfigurationSchema } from '../../xds/messages.js';
import { Cluster } from '../cluster/cluster.js';
import type { ConnectionInfo } from '../listener/connection-info.js';
import type { Listener } from '../listener/listener.js';
import type { Connector, ConnectOutcome } from '../tls/connector.js';
import type { HttpEnvironment, HttpSettings } from './environment.js';
import { HttpFilter } from './http-filter.js';
import { RouteTable } from './route-table.js';
import { createStack } from './stack.js';

interface Options {
  readonly settings?: Partial<HttpSettings>;
  readonly info?: Partial<ConnectionInfo>;
  /** Undefined: one route to the cluster `c`; null: no routes have arrived. */
  readonly routes?: JsonObject[] | null;
  readonly domains?: string[];
  /** Clusters that are there, each with one endpoint where true. */
  readonly clusters?: Readonly<Record<string, boolean>>;
  readonly random?: () => number;
  /** The listener of this proxy to which all clusters lead. */
  readonly internalListener?: string;
  readonly self?: Party;
}

const callers: MemorySocket[] = [];
// What is still under way ends with its caller, timers included.
afterEach(() => callers.splice(0).forEach((caller) => caller.destroy()));

/** A proxy between a caller and a server, both in the hands of the test. */
function proxy(options: Options = {}) {
  const caller = new MemorySocket();
  callers.push(caller);
  const servers: MemorySocket[] = [];
  const pending: ((outcome: ConnectOutcome) => void)[] = [];
  const logged: AccessRecord[] = [];
  const registry = new SeriesRegistry();
  const accepted: (string | undefined)[] = [];
  const listener = { accept: (_: unknown, first?: Buffer) => accepted.push(first?.toString()) } as unknown as Listener;
  const connector = {
    connect: (_: unknown, done: (outcome: ConnectOutcome) => void) => {
      pending.push(done);
      return () => undefined;
    },
  } as unknown as Connector;
  const endpoint = { address: '10.0.0.1', port: 80, weight: 1, transportLabels: {}, workloadSummary: undefined };
  const clusters = new Map(
    Object.entries(options.clusters ?? { c: true }).map(([name, hasEndpoint]) => [
      name,
      new Cluster(
        {
          name,
          edsName: undefined,
          connectTimeoutMs: 1000,
          balancer: 'round-robin',
          service: { host: `${name}.example`, name, namespace: 'shop' },
          provenance: undefined,
          internalListener: options.internalListener,
          endpoints: hasEndpoint ? [endpoint] : [],
          transports: [],
        },
        connector,
        () => 0,
      ),
    ]),
  );
  const routes = options.routes === undefined ? [{ match: { prefix: '/' }, route: { cluster: 'c' } }] : options.routes;
  const virtualHosts = [{ name: 'a', domains: options.domains ?? ['*'], routes: routes ?? [] }];
  const table = new RouteTable(fromJson(RouteConfigurationSchema, { virtualHosts }));
  const settings: HttpSettings = {
    direction: 'outbound',
    limits: { bytes: 8192, fields: 50, headTimeoutMs: 1e6, idleTimeoutMs: 1e6, streamIdleTimeoutMs: 1e6 },
    authority: undefined,
    normalizePath: false,
    setClientCert: false,
    takesConnect: false,
    upstreamProtocols: [],
    ...options.settings,
  };
  const environment: HttpEnvironment = {
    routes: () => (routes === null ? undefined : table),
    findCluster: (name) => clusters.get(name),
    findListener: (name) => (name === 'inner' ? listener : undefined),
    self: () => options.self ?? unknownParty,
    registry,
    accessLogs: [{ format: (record) => (logged.push(record), ''), write: () => undefined }],
    random: options.random ?? (() => 0),
    newRequestId: () => 'new-id',
  };
  const info: ConnectionInfo = {
    localAddress: '127.0.0.1:1',
    remoteAddress: '127.0.0.1:2',
    serverName: undefined,
    security: 'none',
    source: unknownParty,
    forwardedClientCert: undefined,
    expiresAtMs: Infinity,
    reset: () => caller.destroy(),
    ...options.info,
  };
  new HttpFilter(settings, environment).handle(caller.socket, undefined, info, () => undefined);
  return {
    caller,
    servers,
    logged,
    registry,
    clusters,
    /** What arrived first on connections that the inner listener took. */
    accepted,
    /** What the caller gets for what it sends, while nobody else does anything. */
    send: async (text: string): Promise<string> => {
      const before = caller.sent.length;
      caller.receive(text);
      await settle();
      return caller.sent.slice(before);
    },
    connect: async (): Promise<MemorySocket> => {
      const server = new MemorySocket();
      servers.push(server);
      const connection = { first: undefined, peer: undefined, expiresAtMs: Infinity, reset: () => undefined };
      pending.shift()!({ ok: true, connection: { socket: server.socket, ...connection } });
      await settle();
      return server;
    },
    refuse: async (timedOut = false): Promise<void> => {
      pending.shift()!({ ok: false, reason: 'connection refused', timedOut });
      await settle();
    },
    requests: () =>
      requestSeries(registry).map(({ labels, values }) => [
        labelsOf(labels)['response_code'],
        values[requestLayout.count],
      ]),
    labels: () => requestSeries(registry).map(({ labels }) => labelsOf(labels)),
  };
}

function requestSeries(registry: SeriesRegistry): Series[] {
  return registry.all.filter(({ name, labels }) => name === '' && labels.length > 0);
}

function labelsOf(labels: readonly string[]): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(labels.flatMap((name, i) => (i % 2 === 0 ? [[name, labels[i + 1]]] : [])));
}

type Proxy = ReturnType<typeof proxy>;

const get = (path = '/', ...fields: string[]) =>
  `GET ${path} HTTP/1.1\r\nHost: shop\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
const ok = (body = '', ...fields: string[]) =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n${body}`;

/** The head that a server receives for a request. */
async function forwarded(options: Options, text = get()): Promise<string[]> {
  const through = proxy(options);
  assert.equal(await through.send(text), '');
  return (await through.connect()).sent.split('\r\n');
}

/** What a caller gets for what a server sends. */
async function answered(text: string, options: Options = {}): Promise<{ through: Proxy; answer: string }> {
  const through = proxy(options);
  await through.send(get());
  const server = await through.connect();
  server.receive(text);
  await settle();
  return { through, answer: through.caller.sent };
}

describe('the list of layers', () => {
  const settings = { authority: undefined, normalizePath: false } as HttpSettings;
  it('has only what is configured', () => {
    const more = createStack({ ...settings, authority: 'a', normalizePath: true });
    assert.equal(more.request.length, createStack(settings).request.length + 2);
  });
  it('is run inwards for requests and outwards for answers', () => {
    const { request, response, complete } = createStack(settings);
    const order = (list: readonly object[]) => list.map((layer) => request.indexOf(layer as (typeof request)[number]));
    const inward = order(response).filter((at) => at >= 0);
    assert.deepEqual(
      inward,
      inward.toSorted((a, b) => b - a),
    );
    assert.ok('onComplete' in complete.at(-1)!, 'the record is last: it sees every outcome');
  });
});

describe('a request', () => {
  it('is forwarded with an id and how it was asked for', async () =>
    assert.deepEqual(await forwarded({}), [
      'GET / HTTP/1.1',
      'host: shop',
      'x-request-id: new-id',
      'x-forwarded-proto: http',
      '',
      '',
    ]));
  it('keeps its own id, and how it was asked for is still told', async () => {
    const lines = await forwarded({}, get('/', 'X-Request-Id: mine'));
    assert.deepEqual(lines.slice(2, 4), ['x-request-id: mine', 'x-forwarded-proto: http']);
  });
  it('that was forwarded before keeps how it was first asked for', async () => {
    const lines = await forwarded({}, get('/', 'X-Forwarded-Proto: https'));
    assert.deepEqual(
      lines.filter((line) => line.startsWith('x-forwarded-proto')),
      ['x-forwarded-proto: https'],
    );
  });
  it('cannot claim to come from somebody', async () => {
    const claims = ['X-Forwarded-Client-Cert: URI=a', 'X-Envoy-Peer-Metadata: a', 'X-Envoy-Peer-Metadata-Id: a'];
    const lines = await forwarded({}, get('/', 'A: b', ...claims, 'C: d', 'X-Lateen-Decided-By: a'));
    assert.deepEqual(lines.slice(2, 5), ['a: b', 'c: d', 'x-request-id: new-id']);
  });
  it('names the caller whom a certificate proves, where that is configured', async () => {
    const info = { forwardedClientCert: 'URI=spiffe://a' };
    const named = await forwarded({ info, settings: { setClientCert: true } }, get('/', 'X-Forwarded-Client-Cert: b'));
    assert.equal(named[2], 'x-forwarded-client-cert: URI=spiffe://a');
    assert.ok(!(await forwarded({ info })).some((line) => line.startsWith('x-forwarded-client-cert')));
  });
  it('on the port of a service is for that service', async () =>
    assert.equal(
      (await forwarded({ settings: { authority: 'svc.example' }, domains: ['svc.example'] }))[1],
      'host: svc.example',
    ));
  it('has its path in one form where that is configured', async () => {
    const options = { settings: { normalizePath: true }, routes: [{ match: { path: '/a' }, route: { cluster: 'c' } }] };
    assert.equal((await forwarded(options, get('/x/../%61?b=/../c')))[0], 'GET /a?b=/../c HTTP/1.1');
  });
  it('is forwarded with its body and trailers', async () => {
    const through = proxy();
    await through.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    const server = await through.connect();
    await through.send('2\r\nde\r\n0\r\nT: u\r\n\r\n');
    assert.ok(server.sent.endsWith('\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nt: u\r\n\r\n'), server.sent);
  });
  it('of HTTP/1.0 without a host is forwarded', async () =>
    assert.deepEqual((await forwarded({}, 'GET / HTTP/1.0\r\n\r\n')).slice(0, 2), ['GET / HTTP/1.1', 'host: ']));
});

describe('a route', () => {
  const route = (action: JsonObject, more: JsonObject = {}) => [
    { match: { prefix: '/a' }, route: { cluster: 'c', ...action }, ...more },
  ];
  it('rewrites path and authority, and tells the path that was asked for', async () => {
    const lines = await forwarded({ routes: route({ prefixRewrite: '/b', hostRewriteLiteral: 'h' }) }, get('/a/c?d'));
    assert.deepEqual(lines.slice(0, 2), ['GET /b/c?d HTTP/1.1', 'host: h']);
    assert.ok(lines.includes('x-envoy-original-path: /a/c?d'));
  });
  it('tells the path that was asked for once, whatever the caller claims', async () => {
    const lines = await forwarded({ routes: route({ prefixRewrite: '/b' }) }, get('/a', 'X-Envoy-Original-Path: /x'));
    assert.deepEqual(
      lines.filter((line) => line.startsWith('x-envoy-original-path')),
      ['x-envoy-original-path: /a'],
    );
  });
  it('always leaves a path', async () => {
    const routes = [{ match: { prefix: '/a/' }, route: { cluster: 'c', prefixRewrite: 'b' } }];
    assert.equal((await forwarded({ routes }, get('/a/c')))[0], 'GET /bc HTTP/1.1');
  });
  it('changes headers on the way in and on the way back', async () => {
    const set = (key: string) => [{ header: { key, value: '1' }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' }];
    const changes = {
      requestHeadersToAdd: set('in'),
      requestHeadersToRemove: ['gone'],
      responseHeadersToAdd: set('out'),
      responseHeadersToRemove: ['server'],
    };
    const through = proxy({ routes: route({}, changes) });
    await through.send(get('/a', 'Gone: x', 'In: x'));
    const server = await through.connect();
    assert.match(server.sent, /\r\nin: 1\r\n/);
    assert.doesNotMatch(server.sent, /gone/);
    server.receive(ok('', 'Server: x'));
    await settle();
    assert.match(through.caller.sent, /\r\nout: 1\r\n/);
    assert.doesNotMatch(through.caller.sent, /server/);
  });
  it('redirects without asking anybody, and the connection goes on', async () => {
    const routes = [{ match: { prefix: '/' }, redirect: { hostRedirect: 'h', responseCode: 'FOUND' } }];
    const through = proxy({ routes });
    for (let i = 0; i < 2; i++) {
      const answer = await through.send(get('/x'));
      assert.match(answer, /^HTTP\/1\.1 302 Found\r\nlocation: http:\/\/h\/x\r\n/);
      assert.doesNotMatch(answer, /connection: close/);
    }
    assert.equal(through.logged[0]!.responseCodeDetails, 'direct_response');
  });
  it('chooses among its destinations by weight', async () => {
    const clusters = [
      { name: 'c', weight: 1 },
      { name: 'd', weight: 3, hostRewriteLiteral: 'd' },
    ];
    const routes = [{ match: { prefix: '/' }, route: { weightedClusters: { clusters } } }];
    const hostAt = async (point: number) =>
      (await forwarded({ routes, random: () => point, clusters: { c: true, d: true } }))[1];
    assert.deepEqual([await hostAt(0.2), await hostAt(0.3)], ['host: shop', 'host: d']);
  });
});

describe('an answer', () => {
  it('is passed on with the time that the server took', async () => {
    const { answer, through } = await answered(ok('hello', 'X: y'));
    assert.match(
      answer,
      /^HTTP\/1\.1 200 OK\r\nx: y\r\nx-envoy-upstream-service-time: \d+\r\ncontent-length: 5\r\n\r\nhello$/,
    );
    assert.deepEqual(through.requests(), [['200', 1]]);
  });
  it('cannot claim how long it took', async () => {
    const { answer } = await answered(ok('', 'X-Envoy-Upstream-Service-Time: -1'));
    assert.doesNotMatch(answer, /-1/);
  });
  it('is preceded by its interim answers', async () =>
    assert.match(
      (await answered(`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok()}`)).answer,
      /^HTTP\/1\.1 103 [^]*HTTP\/1\.1 200 /,
    ));
  it('without a length is passed on as chunks', async () => {
    const { through } = await answered('HTTP/1.1 200 OK\r\n\r\nhello');
    through.servers[0]!.receiveEnd();
    await settle();
    assert.ok(through.caller.sent.endsWith('5\r\nhello\r\n0\r\n\r\n'));
  });
  it('that breaks off is broken off, not completed', async () => {
    const { through } = await answered('HTTP/1.1 200 OK\r\n\r\nhello');
    through.servers[0]!.destroy(new Error('ECONNRESET'));
    await settle();
    assert.ok(!through.caller.sent.endsWith('0\r\n\r\n'));
    assert.equal(through.caller.destroyed, true);
    assert.equal(through.logged[0]!.responseFlags, 'UC');
  });
  it('frees the endpoint and the connection', async () => {
    const { through } = await answered(ok());
    assert.equal(through.clusters.get('c')!.endpoints[0]!.active, 0);
    await through.send(get());
    assert.equal(through.servers[0]!.sent.match(/GET/g)!.length, 2);
  });
});

describe('a failure', () => {
  const fails = async (
    options: Options,
    status: number,
    flags: string,
    text: RegExp,
    happen: (through: Proxy) => Promise<unknown> = async () => undefined,
  ) => {
    const through = proxy(options);
    await through.send(get('/'));
    await happen(through);
    const [answer] = through.caller.sent.split('\r\n');
    assert.match(answer!, new RegExp(`^HTTP/1.1 ${status} `));
    assert.equal(through.logged[0]!.responseFlags, flags);
    assert.deepEqual(through.requests(), [[String(status), 1]]);
    assert.doesNotMatch(through.caller.sent, /connection: close/);
    assert.match(through.caller.sent, text);
  };
  it('without routes is 404 NR', () => fails({ routes: null }, 404, 'NR', /lateen: no service/));
  it('without the host is 404 NR', () =>
    fails({ domains: ['b'] }, 404, 'NR', /no service or VirtualService .* has the host shop;/));
  it('without a matching route is 404 NR', () =>
    fails({ routes: [] }, 404, 'NR', /no rule for the host shop matches GET \/;/));
  it('without the cluster is 503 NC', () => fails({ clusters: {} }, 503, 'NC', /sent to c, which does not exist/));
  it('without the cluster has the status of the route', () => {
    const route = { cluster: 'c', clusterNotFoundResponseCode: 'NOT_FOUND' };
    return fails({ clusters: {}, routes: [{ match: { prefix: '/' }, route }] }, 404, 'NC', /does not exist/);
  });
  it('without an endpoint is 503 UH', () =>
    fails({ clusters: { c: false } }, 503, 'UH', /\r\n\r\nno healthy upstream\nlateen: no instance of c\.example/));
  it('to connect is 503 UF', () =>
    fails({}, 503, 'UF', /remote connection failure, .*refused\nlateen: /, (through) => through.refuse()));
  it('to connect in time is 503 UF', () =>
    fails({}, 503, 'UF', /connection timeout\nlateen: /, (through) => through.refuse(true)));
  it('of the connection is 503 UC', () =>
    fails({}, 503, 'UC', /connection termination\nlateen: /, async (through) => {
      (await through.connect()).receiveEnd();
      await settle();
    }));
  it('to speak HTTP is 502 UPE', () =>
    fails({}, 502, 'UPE', /protocol error\nlateen: /, async (through) => {
      (await through.connect()).receive('nonsense\r\n\r\n');
      await settle();
    }));
  it('tells a peer of the mesh no more than Envoy does', () =>
    fails({ settings: { direction: 'inbound' }, clusters: { c: false } }, 503, 'UH', /\r\n\r\nno healthy upstream$/));
  it('answers HEAD without a body', async () => {
    const through = proxy({ clusters: { c: false } });
    assert.match(
      await through.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n'),
      /^HTTP\/1\.1 503 [^]*content-length: [1-9]\d*\r\n\r\n$/,
    );
  });
  it('of CONNECT where none is taken is 403', async () => {
    const through = proxy();
    assert.match(await through.send('CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n'), /^HTTP\/1\.1 403 /);
  });
  it('of the caller cancels what is under way and is counted as DC', async () => {
    const through = proxy();
    await through.send(get());
    const server = await through.connect();
    through.caller.destroy(new Error('ECONNRESET'));
    await settle();
    assert.equal(server.destroyed, true);
    assert.equal(through.logged[0]!.responseFlags, 'DC');
    assert.equal(through.clusters.get('c')!.endpoints[0]!.active, 0);
  });
  it('of the caller while a connection is opened sends nothing', async () => {
    const through = proxy();
    await through.send(get());
    through.caller.destroy(new Error('ECONNRESET'));
    await settle();
    assert.equal((await through.connect()).sent, '');
  });
  it('to read the request is counted', async () => {
    const through = proxy();
    assert.match(await through.send('nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /);
    assert.deepEqual(
      [through.logged.map(({ responseFlags }) => responseFlags), through.requests()],
      [['DPE'], [['400', 1]]],
    );
  });
});

describe('the timeout of a route', () => {
  afterEach(() => mock.timers.reset());
  const routes = [{ match: { prefix: '/' }, route: { cluster: 'c', timeout: '2s' } }];

  it('is 504 UT and ends what is under way', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const through = proxy({ routes });
    await through.send(get());
    const server = await through.connect();
    mock.timers.tick(1999);
    assert.equal(through.caller.sent, '');
    mock.timers.tick(1);
    await settle();
    assert.match(
      through.caller.sent,
      /^HTTP\/1\.1 504 [^]*upstream request timeout\nlateen: c\.example did not answer within 2000 ms/,
    );
    assert.equal(server.destroyed, true);
    assert.equal(through.logged[0]!.responseFlags, 'UT');
  });
  it('counts while a connection is opened', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const through = proxy({ routes });
    await through.send(get());
    mock.timers.tick(2000);
    await settle();
    assert.match(through.caller.sent, /^HTTP\/1\.1 504 /);
    assert.equal((await through.connect()).sent, '');
  });
  it('begins when the request is complete', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const through = proxy({ routes });
    await through.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na');
    mock.timers.tick(5000);
    assert.equal(through.caller.sent, '');
    await through.send('b');
    mock.timers.tick(2000);
    await settle();
    assert.match(through.caller.sent, /^HTTP\/1\.1 504 /);
  });
  it('breaks off an answer that is not complete', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const { through } = await answered('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab', { routes });
    mock.timers.tick(2000);
    await settle();
    assert.equal(through.caller.destroyed, true);
    assert.equal(through.logged[0]!.responseFlags, 'UT');
  });
  it('ends with the answer', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const { through } = await answered(ok(), { routes });
    mock.timers.tick(10_000);
    await settle();
    assert.equal(through.caller.sent.match(/HTTP\/1\.1/g)!.length, 1);
  });
  it('of 0 is none', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const through = proxy({ routes: [{ match: { prefix: '/' }, route: { cluster: 'c', timeout: '0s' } }] });
    await through.send(get());
    mock.timers.tick(1e9);
    await settle();
    assert.equal(through.caller.sent, '');
  });
});

describe('a CONNECT', () => {
  const routes = [{ match: { connectMatcher: {} }, route: { cluster: 'c' } }];
  const settings = { takesConnect: true };
  const connect = 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n';
  it('goes on in the listener of what was called, with the bytes that came along', async () => {
    const through = proxy({ routes, settings, internalListener: 'inner' });
    assert.equal(await through.send(`${connect}hello`), 'HTTP/1.1 200 OK\r\n\r\n');
    assert.deepEqual([through.accepted, through.logged.length], [['hello'], 1]);
    assert.deepEqual(through.requests(), [], 'it is counted where it goes on');
  });
  it('to a listener that is not there is 503 NC', async () => {
    const through = proxy({ routes, settings, internalListener: 'other' });
    assert.match(await through.send(connect), /^HTTP\/1\.1 503 /);
    assert.equal(through.logged[0]!.responseFlags, 'NC');
  });
});

describe('the record', () => {
  const self: Party = {
    ...unknownParty,
    workload: 'me',
    namespace: 'shop',
    principal: 'spiffe://me',
    canonicalService: 'me',
  };
  it('of a call that leaves says who calls what', async () => {
    const { through } = await answered(ok('hello'), { self });
    const [labels] = through.labels();
    assert.deepEqual(
      [
        labels!['reporter'],
        labels!['source_workload'],
        labels!['destination_service'],
        labels!['destination_workload'],
      ],
      ['source', 'me', 'c.example', 'unknown'],
    );
    assert.equal(labels!['source_principal'], 'unknown', 'over plaintext no certificate was shown');
  });
  it('of a call to nothing known has the host for the service', async () => {
    const through = proxy({ self, domains: ['b'] });
    await through.send(get());
    assert.equal(through.labels()[0]!['destination_service'], 'shop');
  });
  it('of a call that arrives says who calls us', async () => {
    const source: Party = { ...unknownParty, workload: 'caller', principal: 'spiffe://caller' };
    const info = { source, security: 'mutual_tls' } as const;
    const { through } = await answered(ok(), { self, info, settings: { direction: 'inbound' } });
    const [labels] = through.labels();
    assert.deepEqual(
      [
        labels!['reporter'],
        labels!['source_principal'],
        labels!['destination_principal'],
        labels!['destination_workload'],
      ],
      ['destination', 'spiffe://caller', 'spiffe://me', 'me'],
    );
    assert.equal(labels!['connection_security_policy'], 'mutual_tls');
  });
  it('counts bytes with heads, of both sides', async () => {
    const through = proxy();
    const request = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc';
    await through.send(request);
    (await through.connect()).receive(ok('hello'));
    await settle();
    const [{ values }] = requestSeries(through.registry) as [Series];
    assert.equal(values[requestLayout.requestBytesSum], request.length);
    assert.equal(values[requestLayout.responseBytesSum], through.caller.sent.length);
    const [logged] = through.logged;
    assert.deepEqual([logged!.bytesReceived, logged!.bytesSent, logged!.upstreamCluster], [3, 5, 'c']);
  });
});

describe('back-pressure', () => {
  const big = 'x'.repeat(100_000);
  it('of nobody to send to stops a caller, and all arrives when there is', async () => {
    const through = proxy();
    await through.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${2 * big.length}\r\n\r\n${big}`);
    assert.equal(through.caller.isPaused(), true);
    const server = await through.connect();
    await through.send(big);
    assert.ok(server.sent.endsWith(big + big));
    server.receive(ok());
    await settle();
    assert.match(through.caller.sent, /^HTTP\/1\.1 200 /);
  });
  it('of the server stops the caller until it takes more', async () => {
    const through = proxy();
    await through.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${2 * big.length}\r\n\r\n`);
    const server = await through.connect();
    const release = server.holdWrites();
    await through.send(big);
    assert.equal(through.caller.isPaused(), true);
    release();
    await settle();
    assert.equal(through.caller.isPaused(), false);
  });
  it('of the caller stops the server until it takes more', async () => {
    const through = proxy();
    await through.send(get());
    const server = await through.connect();
    const release = through.caller.holdWrites();
    server.receive(`HTTP/1.1 200 OK\r\nContent-Length: ${2 * big.length}\r\n\r\n${big}`);
    await settle();
    assert.equal(server.isPaused(), true);
    release();
    await settle();
    assert.equal(server.isPaused(), false);
  });
});
