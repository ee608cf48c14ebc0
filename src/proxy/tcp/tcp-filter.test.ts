// Connections of bytes end by their time limits: without traffic, and whatever they carry where they are too old.
import { defaultHttp2Limits } from '../http/http2/limits.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { unlimitedConnections } from '../../../test/harness/connections.js';
import { MemorySocket, settle } from '../../../test/harness/memory-socket.js';
import type { AccessRecord } from '../../telemetry/access-log/record.js';
import { unknownParty } from '../../telemetry/istio-labels.js';
import { SeriesRegistry } from '../../telemetry/series.js';
import type { ClusterLimits } from '../config/cluster-limits.js';
import { Cluster } from '../cluster/cluster.js';
import type { ServerNews } from '../listener/filter-chain.js';
import type { Swept } from '../net/sweeper.js';
import type { Connector, ConnectOutcome } from '../tls/connector.js';
import { TcpFilter, type TcpSettings } from './tcp-filter.js';

const unlimited = { idleTimeoutMs: Infinity, maxDurationMs: Infinity };

/** A filter for connections to a server in memory, and a client for it. */
function open(
  limits: Pick<TcpSettings, 'idleTimeoutMs' | 'maxDurationMs'>,
  clusterLimits: Partial<ClusterLimits> = {},
  connectOutcome: 'connected' | 'refused' = 'connected',
) {
  const [caller, server] = [new MemorySocket(), new MemorySocket()];
  const connector = {
    connect: (_: unknown, done: (outcome: ConnectOutcome) => void) => {
      const rest = {
        first: undefined,
        peer: undefined,
        expiresAtMs: Infinity,
        protocol: undefined,
        reset: () => server.destroy(),
      };
      if (connectOutcome === 'refused') done({ ok: false, reason: 'connection refused', timedOut: false });
      else done({ ok: true, connection: { socket: server.socket, ...rest } });
      return () => undefined;
    },
  } as unknown as Connector;
  const cluster = new Cluster(
    {
      ...unlimitedConnections,
      limits: { ...unlimitedConnections.limits, ...clusterLimits },
      name: 'c',
      edsName: undefined,
      connectTimeoutMs: 1000,
      httpProtocol: 'http1',
      http2: defaultHttp2Limits,
      balancer: 'round-robin',
      service: undefined,
      provenance: undefined,
      internalListener: undefined,
      endpoints: [{ address: '10.0.0.1', port: 80, weight: 1, transportLabels: {}, workloadSummary: undefined }],
      transports: [],
    },
    connector,
    () => 0,
  );
  const logged: AccessRecord[] = [];
  const filter = new TcpFilter(
    { direction: 'outbound', destinations: [{ cluster: 'c', weight: 1 }], policies: undefined, ...limits },
    {
      findCluster: () => cluster,
      self: () => unknownParty,
      random: () => 0,
      registry: new SeriesRegistry(),
      accessLogs: [{ format: (record) => (logged.push(record), ''), write: () => undefined }],
    },
  );
  const info = {
    localAddress: '127.0.0.1:1',
    remoteAddress: '127.0.0.1:2',
    serverName: undefined,
    security: 'none' as const,
    source: unknownParty,
    forwardedClientCert: undefined,
    expiresAtMs: Infinity,
    protocol: undefined,
    reset: () => caller.destroy(),
  };
  return { caller, server, logged, usage: cluster.usage, filter, info };
}

/** A connection to a server, both in memory; `tick` is the sweeper's, that many milliseconds from now. */
function connect(...options: Parameters<typeof open>) {
  const { filter, info, ...rest } = open(...options);
  const handled = filter.handle(rest.caller.socket, undefined, info, () => undefined) as unknown as Swept;
  return { ...rest, tick: (afterMs: number) => handled.onTick(performance.now() + afterMs) };
}

/** A server that was connected to ahead of its client's first byte. */
async function openAhead(...options: Parameters<typeof open>) {
  const { filter, info, ...rest } = open(...options);
  const news: ServerNews[] = [];
  const ahead = filter.openAhead(rest.caller.socket, info, (one) => news.push(one))!;
  await settle();
  return { ...rest, ahead, news };
}

describe('a connection of bytes', () => {
  it('without traffic for the idle timeout ends at both sides', async () => {
    const { caller, server, logged, tick } = connect({ idleTimeoutMs: 5000, maxDurationMs: Infinity });
    tick(4000);
    assert.equal(caller.destroyed, false);
    tick(5001);
    await settle();
    assert.deepEqual([caller.destroyed, server.destroyed], [true, true]);
    assert.equal(logged[0]?.responseFlags, '-');
  });

  it('counts as one of its cluster until it is over', async () => {
    const { caller, server, usage } = connect({ idleTimeoutMs: Infinity, maxDurationMs: Infinity });
    assert.equal(usage.connections, 1);
    caller.receiveEnd();
    server.receiveEnd();
    await settle(8);
    assert.equal(usage.connections, 0);
  });

  it('beyond as many as the cluster may have is closed, with flag UO', async () => {
    const { caller, server, logged, usage } = connect(
      { idleTimeoutMs: Infinity, maxDurationMs: Infinity },
      { maxConnections: 0 },
    );
    await settle();
    assert.equal(caller.destroyed, true);
    assert.equal(server.sent, '');
    assert.equal(logged[0]?.responseFlags, 'UO');
    assert.equal(usage.connections, 0);
  });

  it('older than the longest duration ends whatever it carries, with flag DT', async () => {
    const { caller, server, logged, tick } = connect({ idleTimeoutMs: Infinity, maxDurationMs: 5000 });
    caller.receive('bytes');
    await settle();
    assert.equal(server.sent, 'bytes');
    tick(4000);
    assert.equal(caller.destroyed, false);
    tick(5001);
    await settle();
    assert.deepEqual([caller.destroyed, server.destroyed], [true, true]);
    assert.equal(logged[0]?.responseFlags, 'DT');
  });
});

describe('a server that is connected to ahead', () => {
  it('and speaks first is heard from its first byte once the connection is claimed', async () => {
    const { caller, server, ahead, news, logged } = await openAhead(unlimited);
    server.receive('hel');
    await settle();
    server.receive('lo');
    await settle();
    assert.deepEqual([news, caller.sent], [['spoke'], '']);
    ahead.claim(undefined, () => undefined);
    await settle();
    assert.equal(caller.sent, 'hello');
    caller.receive('hi');
    await settle();
    assert.equal(server.sent, 'hi');
    assert.deepEqual(logged, []);
  });

  it('hears what the client has said where that is claimed first', async () => {
    const { server, ahead, news } = await openAhead(unlimited);
    ahead.claim(Buffer.from('first'), () => undefined);
    await settle();
    assert.deepEqual([news, server.sent], [[], 'first']);
  });

  it('and waits for requests is told by an answer of HTTP, or by going', async () => {
    for (const act of [
      (server: MemorySocket) => server.receive('HTTP/1.1 408 Request Timeout\r\n'),
      (server: MemorySocket) => server.receiveEnd(),
      (server: MemorySocket) => server.destroy(),
    ]) {
      const { server, news } = await openAhead(unlimited);
      act(server);
      await settle(8);
      assert.deepEqual(news, ['over']);
    }
  });

  it('is lost without a trace when it is abandoned, at whatever time', async () => {
    for (const said of ['', 'hello']) {
      const { caller, server, ahead, logged, usage } = await openAhead(unlimited);
      if (said !== '') server.receive(said);
      await settle();
      assert.equal(usage.connections, 1);
      ahead.abandon();
      await settle(8);
      assert.deepEqual([server.destroyed, caller.destroyed, usage.connections, logged], [true, false, 0, []]);
    }
  });

  it('and is not there ends the connection when it is claimed, not before', async () => {
    const { caller, ahead, news, logged } = await openAhead(unlimited, {}, 'refused');
    assert.deepEqual([news, caller.destroyed], [['over'], false]);
    ahead.claim(undefined, () => undefined);
    await settle();
    assert.equal(caller.destroyed, true);
    assert.equal(logged[0]?.responseFlags, 'UF,URX');
  });

  it('and has ended passes its end on when it is claimed', async () => {
    for (const act of [(server: MemorySocket) => server.receiveEnd(), (server: MemorySocket) => server.destroy()]) {
      const { caller, server, ahead, usage } = await openAhead(unlimited);
      act(server);
      await settle(8);
      let closed = 0;
      ahead.claim(undefined, () => closed++);
      await settle();
      assert.equal(caller.writableEnded || caller.destroyed, true);
      caller.receiveEnd();
      await settle(8);
      assert.deepEqual([closed, usage.connections], [1, 0]);
    }
  });

  it('goes with a client that goes', async () => {
    const { caller, server, logged, usage } = await openAhead(unlimited);
    caller.destroy();
    await settle(8);
    assert.deepEqual([server.destroyed, usage.connections, logged[0]?.responseFlags], [true, 0, 'DC']);
  });
});
