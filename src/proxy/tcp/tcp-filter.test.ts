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
import type { Swept } from '../net/sweeper.js';
import type { Connector, ConnectOutcome } from '../tls/connector.js';
import { TcpFilter, type TcpSettings } from './tcp-filter.js';

/** A connection to a server, both in memory; `tick` is the sweeper's, that many milliseconds from now. */
function connect(
  limits: Pick<TcpSettings, 'idleTimeoutMs' | 'maxDurationMs'>,
  clusterLimits: Partial<ClusterLimits> = {},
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
      done({ ok: true, connection: { socket: server.socket, ...rest } });
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
  const handled = filter.handle(caller.socket, undefined, info, () => undefined) as unknown as Swept;
  return {
    caller,
    server,
    logged,
    usage: cluster.usage,
    tick: (afterMs: number) => handled.onTick(performance.now() + afterMs),
  };
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
