// Limits and outlier detection as they are read from clusters: Envoy's defaults, and what is refused by name.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { typeRegistry } from '../../../test/harness/resources.js';
import { ClusterSchema } from '../../xds/messages.js';
import { defaultHttp2Limits } from '../http/http2/limits.js';
import { httpOptionsKey, readConnectionConfig } from './cluster-limits.js';

const read = (fields: JsonObject) =>
  readConnectionConfig(fromJson(ClusterSchema, { name: 'c', ...fields }, { registry: typeRegistry }));
const readHttp = (options: JsonObject) =>
  read({
    typedExtensionProtocolOptions: {
      [httpOptionsKey]: { '@type': `type.googleapis.com/${httpOptionsKey}`, ...options },
    },
  });
const outlier = (fields: JsonObject, more: JsonObject = {}) =>
  read({ outlierDetection: { enforcingSuccessRate: 0, ...fields }, ...more }).outlierDetection;

describe('a cluster', () => {
  it("has Envoy's limits where it names none", () => {
    assert.deepEqual(read({}), {
      limits: {
        maxConnections: 1024,
        maxPendingRequests: 1024,
        maxRequests: 1024,
        maxRetries: 3,
        retryBudget: undefined,
      },
      httpProtocol: 'http1',
      http2: defaultHttp2Limits,
      outlierDetection: undefined,
      idleTimeoutMs: 3_600_000,
      maxRequestsPerConnection: Infinity,
      maxConnectionDurationMs: undefined,
      keepalive: undefined,
    });
  });

  it('has the limits of the default priority', () => {
    const { limits } = read({
      circuitBreakers: {
        thresholds: [
          { priority: 'HIGH', maxConnections: 9 },
          {
            maxConnections: 1,
            maxPendingRequests: 0,
            maxRequests: 3,
            maxRetries: 4,
            retryBudget: { budgetPercent: { value: 12.5 }, minRetryConcurrency: 0 },
          },
        ],
      },
    });
    assert.deepEqual(limits, {
      maxConnections: 1,
      maxPendingRequests: 0,
      maxRequests: 3,
      maxRetries: 4,
      retryBudget: { percent: 12.5, minConcurrency: 0 },
    });
    assert.deepEqual(read({ circuitBreakers: { thresholds: [{ retryBudget: {} }] } }).limits.retryBudget, {
      percent: 20,
      minConcurrency: 3,
    });
  });

  it('has the times and counts of its HTTP options; 0 means no limit', () => {
    const said = readHttp({
      commonHttpProtocolOptions: { idleTimeout: '5s', maxConnectionDuration: '60s', maxRequestsPerConnection: 7 },
      explicitHttpConfig: { httpProtocolOptions: {} },
    });
    assert.deepEqual(
      [said.idleTimeoutMs, said.maxConnectionDurationMs, said.maxRequestsPerConnection],
      [5000, 60_000, 7],
    );
    const off = readHttp({
      commonHttpProtocolOptions: { idleTimeout: '0s', maxConnectionDuration: '0s', maxRequestsPerConnection: 0 },
    });
    assert.deepEqual(
      [off.idleTimeoutMs, off.maxConnectionDurationMs, off.maxRequestsPerConnection],
      [2 ** 31 - 1, undefined, Infinity],
    );
  });

  it('has TCP keepalive where it is asked for', () => {
    const keepalive = (fields: JsonObject) =>
      read({ upstreamConnectionOptions: { tcpKeepalive: fields } }).keepalive?.timeMs;
    assert.equal(keepalive({ keepaliveTime: 75 }), 75_000);
    assert.equal(keepalive({}), 7_200_000);
  });

  it('is refused with what cannot be held', () => {
    const refused: [() => unknown, RegExp][] = [
      [() => read({ circuitBreakers: { perHostThresholds: [{}] } }), /single endpoints/],
      [() => read({ circuitBreakers: { thresholds: [{ maxConnectionPools: 1 }] } }), /connection pools/],
      [() => readHttp({ commonHttpProtocolOptions: { maxHeadersCount: 1 } }), /limits of headers/],
      [() => read({ upstreamConnectionOptions: { tcpKeepalive: { keepaliveProbes: 1 } } }), /keepalive/],
    ];
    for (const [act, message] of refused) assert.throws(act, message);
  });
});

describe('outlier detection', () => {
  it("has Envoy's defaults", () => {
    assert.deepEqual(outlier({}), {
      consecutive5xx: 5,
      consecutiveGatewayFailure: 0,
      consecutiveLocalOriginFailure: 0,
      splitExternalLocalOrigin: false,
      intervalMs: 10_000,
      baseEjectionMs: 30_000,
      maxEjectionMs: 300_000,
      maxEjectionPercent: 10,
      alwaysEjectOne: false,
      panicThresholdPercent: 50,
    });
  });

  it('has its counts where they are enforced', () => {
    assert.equal(outlier({ consecutive5xx: 0, enforcingConsecutive5xx: 0 })?.consecutive5xx, 0);
    assert.equal(
      outlier({ consecutiveGatewayFailure: 2, enforcingConsecutiveGatewayFailure: 100 })?.consecutiveGatewayFailure,
      2,
    );
    assert.equal(outlier({ consecutiveGatewayFailure: 2 })?.consecutiveGatewayFailure, 0);
    const split = outlier({ splitExternalLocalOriginErrors: true, enforcingLocalOriginSuccessRate: 0 });
    assert.deepEqual([split?.splitExternalLocalOrigin, split?.consecutiveLocalOriginFailure], [true, 5]);
  });

  it('ejects for at most 300 s, or for the base time where that is longer', () => {
    assert.equal(outlier({ baseEjectionTime: '600s' })?.maxEjectionMs, 600_000);
    assert.equal(outlier({ maxEjectionTime: '60s' })?.maxEjectionMs, 60_000);
  });

  it('has the panic threshold of the cluster', () => {
    assert.equal(outlier({}, { commonLbConfig: { healthyPanicThreshold: { value: 0 } } })?.panicThresholdPercent, 0);
  });

  it('is refused where it goes by rates, chance or jitter', () => {
    assert.throws(() => read({ outlierDetection: {} }), /not by rates/);
    assert.throws(() => outlier({ enforcingFailurePercentage: 1 }), /not by rates/);
    assert.throws(() => outlier({ splitExternalLocalOriginErrors: true }), /not by rates/);
    assert.throws(() => outlier({ enforcingConsecutive5xx: 50 }), /chance of 50 %/);
    assert.throws(() => outlier({ maxEjectionTimeJitter: '1s' }), /jitter/);
    assert.throws(() => outlier({ interval: '0s' }), /interval .* more than 0/);
  });
});
