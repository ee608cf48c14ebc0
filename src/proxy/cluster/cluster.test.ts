// Holds clusters to what changes must keep: connections to endpoints that stay, and requests to those that leave.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { unlimitedConnections } from '../../../test/harness/connections.js';
import { eventually } from '../../../test/harness/mesh.js';
import { MemorySocket, settle } from '../../../test/harness/memory-socket.js';
import { unknownParty } from '../../telemetry/istio-labels.js';
import type { ClusterConfig, EndpointConfig } from '../config/cluster-config.js';
import type { PoolClient } from '../http/pool.js';
import type { ConnectOptions, Connector, ConnectOutcome } from '../tls/connector.js';
import { Cluster } from './cluster.js';

const endpoint = (port: number, changes: Partial<EndpointConfig> = {}): EndpointConfig => ({
  address: '10.0.0.1',
  port,
  weight: 1,
  transportLabels: {},
  workloadSummary: undefined,
  ...changes,
});

const plaintext = { match: {}, transport: { tls: undefined, protocols: [] } };
const mutual = (serverName: string) => ({
  match: { tlsMode: 'istio' },
  transport: { tls: { serverName, identities: new Set(['spiffe://a']) }, protocols: ['lateen', 'istio'] },
});

const configOf = (changes: Partial<ClusterConfig> = {}): ClusterConfig => ({
  name: 'outbound|80||shop',
  edsName: 'outbound|80||shop',
  connectTimeoutMs: 5000,
  balancer: 'round-robin',
  service: undefined,
  provenance: undefined,
  internalListener: undefined,
  endpoints: [],
  transports: [plaintext],
  ...unlimitedConnections,
  ...changes,
});

function create(config = configOf()) {
  const connects: { options: ConnectOptions; done: (outcome: ConnectOutcome) => void; socket: MemorySocket }[] = [];
  const connector = {
    connect: (options: ConnectOptions, done: (outcome: ConnectOutcome) => void) => {
      connects.push({ options, done, socket: new MemorySocket() });
      return () => undefined;
    },
  } as unknown as Connector;
  const succeed = async (at = 0) => {
    const { done, socket } = connects[at]!;
    const connection = { socket: socket.socket, first: undefined, peer: undefined, expiresAtMs: Infinity };
    done({ ok: true, connection: { ...connection, protocol: undefined, reset: () => undefined } });
    await settle();
    return socket;
  };
  return { cluster: new Cluster(config, connector, () => 0), connects, succeed };
}

/** A GET that remembers how it ended. */
function client() {
  const told: unknown[] = [];
  const request = { method: 'GET', path: '/', authority: 'a', headers: [], framing: 'none', contentLength: -1 };
  const value = {
    request,
    get isWaiting() {
      return told.length === 0;
    },
    onConnected: () => undefined,
    onUpstreamReady: (stream: { sendEnd(trailers: undefined): void }) => stream.sendEnd(undefined),
    onResponseHead: ({ status }: { status: number }) => told.push(status),
    onUpstreamFailure: (failure: unknown) => told.push(failure),
  };
  return { told, value: value as unknown as PoolClient };
}

const answer = 'HTTP/1.1 204 No Content\r\n\r\n';

describe('endpoints', () => {
  it('are none until they arrive, be it none', () => {
    const { cluster } = create();
    assert.deepEqual([cluster.isWarm, cluster.pick()], [false, undefined]);
    cluster.setEndpoints([]);
    assert.deepEqual([cluster.isWarm, cluster.pick()], [true, undefined]);
  });

  it('that come with the cluster are there at once', () => {
    const { cluster } = create(configOf({ edsName: undefined, endpoints: [endpoint(1)] }));
    assert.deepEqual([cluster.isWarm, cluster.pick()!.host], [true, '10.0.0.1:1']);
  });

  it('that stay are the same, with what is under way there', () => {
    const { cluster } = create();
    cluster.setEndpoints([endpoint(1), endpoint(2)]);
    const [first, second] = cluster.endpoints;
    first!.active = 5;
    cluster.setEndpoints([endpoint(3), endpoint(1)]);
    const [third, kept] = cluster.endpoints;
    assert.equal(kept, first);
    assert.equal(kept!.active, 5);
    assert.notEqual(third, second);
  });

  it('whose weight alone changes keep their connections, and are chosen by the new one', () => {
    const { cluster } = create();
    cluster.setEndpoints([endpoint(1), endpoint(2)]);
    const [first, second] = cluster.endpoints;
    cluster.setEndpoints([endpoint(1), endpoint(2, { weight: 3 })]);
    assert.deepEqual(cluster.endpoints, [first, second]);
    const picked = Array.from({ length: 8 }, () => cluster.pick()!.options.port);
    assert.equal(picked.filter((port) => port === 2).length, 6);
    cluster.setEndpoints([endpoint(1), endpoint(2, { weight: 3, workloadSummary: 'a' })]);
    assert.notEqual(cluster.endpoints[1], second);
  });

  it('that change in any other way are new', () => {
    const { cluster } = create();
    cluster.setEndpoints([endpoint(1)]);
    const [before] = cluster.endpoints;
    cluster.setEndpoints([endpoint(1, { workloadSummary: 'a' })]);
    assert.notEqual(cluster.endpoints[0], before);
  });

  it('given twice are one', () => {
    const { cluster } = create();
    cluster.setEndpoints([endpoint(1), endpoint(1)]);
    assert.equal(cluster.endpoints.length, 1);
  });

  it('are called by their turns', () => {
    const { cluster } = create();
    cluster.setEndpoints([endpoint(1), endpoint(2)]);
    assert.deepEqual(
      [1, 2, 3].map(() => cluster.pick()!.host),
      ['10.0.0.1:1', '10.0.0.1:2', '10.0.0.1:1'],
    );
  });

  it('of IPv6 have brackets in logs', () => {
    const { cluster } = create();
    cluster.setEndpoints([endpoint(80, { address: '::1' })]);
    assert.equal(cluster.pick()!.host, '[::1]:80');
  });
});

describe('requests to an endpoint that leaves', () => {
  it('which are under way are answered, and their connection ends', async () => {
    const { cluster, succeed } = create();
    cluster.setEndpoints([endpoint(1)]);
    const get = client();
    cluster.pick()!.httpPool([], false).dispatch(get.value);
    const socket = await succeed();
    cluster.setEndpoints([]);
    socket.receive(answer);
    await settle();
    assert.deepEqual([get.told, socket.destroyed], [[204], true]);
  });

  it('which wait for a connection get it', async () => {
    const { cluster, succeed } = create();
    cluster.setEndpoints([endpoint(1)]);
    const get = client();
    cluster.pick()!.httpPool([], false).dispatch(get.value);
    cluster.setEndpoints([]);
    const socket = await succeed();
    socket.receive(answer);
    await settle();
    assert.deepEqual([get.told, socket.destroyed], [[204], true]);
  });

  it('idle connections to it end at once, those to others stay', async () => {
    const { cluster, succeed } = create();
    cluster.setEndpoints([endpoint(1), endpoint(2)]);
    const sockets: MemorySocket[] = [];
    for (const [i, each] of cluster.endpoints.entries()) {
      each.httpPool([], false).dispatch(client().value);
      sockets.push(await succeed(i));
      sockets[i]!.receive(answer);
      await settle();
    }
    cluster.setEndpoints([endpoint(2)]);
    assert.deepEqual(
      sockets.map(({ destroyed }) => destroyed),
      [true, false],
    );
    cluster.close();
    assert.equal(sockets[1]!.destroyed, true);
  });
});

describe('a new configuration', () => {
  it('of another policy keeps the endpoints', () => {
    const { cluster } = create();
    cluster.setEndpoints([endpoint(1)]);
    const before = cluster.pick();
    cluster.reconfigure(configOf({ balancer: 'random' }));
    assert.equal(cluster.pick(), before);
  });

  it('of another transport or connect timeout makes them anew', () => {
    for (const change of [{ transports: [mutual('a'), plaintext] }, { connectTimeoutMs: 1 }]) {
      const { cluster } = create();
      cluster.setEndpoints([endpoint(1)]);
      const before = cluster.pick();
      cluster.reconfigure(configOf(change));
      assert.notEqual(cluster.pick(), before);
      assert.equal(cluster.pick()!.host, '10.0.0.1:1');
    }
  });

  it('that is equal keeps the endpoints', () => {
    const config = () => configOf({ transports: [mutual('a'), plaintext] });
    const { cluster } = create(config());
    cluster.setEndpoints([endpoint(1)]);
    const before = cluster.pick();
    cluster.reconfigure(config());
    assert.equal(cluster.pick(), before);
  });

  it('brings its own endpoints where they are not fetched', () => {
    const fixed = (port: number) => configOf({ edsName: undefined, endpoints: [endpoint(port)] });
    const { cluster } = create(fixed(1));
    cluster.reconfigure(fixed(2));
    assert.deepEqual(
      cluster.endpoints.map(({ host }) => host),
      ['10.0.0.1:2'],
    );
  });
});

describe('connections', () => {
  it('are secured as the labels of the endpoint say', () => {
    const { cluster, connects } = create(configOf({ transports: [mutual('a'), plaintext] }));
    cluster.setEndpoints([endpoint(1, { transportLabels: { tlsMode: 'istio' } }), endpoint(2)]);
    for (const each of cluster.endpoints) each.connect(() => undefined);
    const [secured, plain] = connects.map(({ options }) => options);
    assert.deepEqual([secured!.tls?.serverName, secured!.protocols], ['a', ['lateen', 'istio']]);
    assert.deepEqual([plain!.tls, plain!.protocols, plain!.timeoutMs], [undefined, [], 5000]);
  });

  it('for HTTP are shared by the version without a handshake, else by the protocols that are offered', () => {
    const { cluster } = create(configOf({ transports: [mutual('a'), plaintext] }));
    cluster.setEndpoints([endpoint(1, { transportLabels: { tlsMode: 'istio' } }), endpoint(2)]);
    const [secured, plain] = cluster.endpoints;
    assert.equal(secured!.httpPool(['a', 'b'], false), secured!.httpPool(['a', 'b'], true));
    assert.notEqual(secured!.httpPool(['a', 'b'], false), secured!.httpPool(['b'], false));
    assert.equal(plain!.httpPool(['a'], true), plain!.httpPool([], true));
    assert.notEqual(plain!.httpPool([], true), plain!.httpPool([], false));
  });

  it('of one endpoint share its sessions', () => {
    const { cluster, connects } = create();
    cluster.setEndpoints([endpoint(1), endpoint(2)]);
    for (const at of [0, 0, 1]) cluster.endpoints[at]!.connect(() => undefined);
    const [a, b, c] = connects.map(({ options }) => options.sessions);
    assert.equal(a, b);
    assert.notEqual(a, c);
  });
});

it('a cluster without a service is called by its name', () => {
  assert.deepEqual(create().cluster.service, {
    host: 'outbound|80||shop',
    name: 'outbound|80||shop',
    namespace: unknownParty.namespace,
  });
  const service = { host: 'shop.a', name: 'shop', namespace: 'a' };
  assert.equal(create(configOf({ service })).cluster.service, service);
});

describe('a cluster of names', () => {
  const named = configOf({
    edsName: undefined,
    dnsRefreshMs: 1e6,
    endpoints: [endpoint(9411, { address: 'localhost' })],
  });
  it('has the addresses that they mean, and is warm once they are known', async () => {
    const { cluster } = create(named);
    assert.deepEqual([cluster.isWarm, cluster.pick()], [false, undefined]);
    await eventually(() => cluster.isWarm, 'the name is looked up');
    assert.match(cluster.pick()!.host, /^(127\.0\.0\.1|\[::1\]):9411$/);
    cluster.close();
  });
  it('forgets them when it gets addresses instead, and the other way round', async () => {
    const { cluster } = create(named);
    cluster.reconfigure(configOf({ edsName: undefined, endpoints: [endpoint(1)] }));
    assert.equal(cluster.pick()!.host, '10.0.0.1:1');
    cluster.reconfigure(named);
    await eventually(() => cluster.pick()!.host.endsWith(':9411'), 'the name is looked up');
    cluster.close();
  });
});
