// Blocks of a DestinationRule that say how a client uses its connections: limits, outlier detection, retry budget. MeshConfig
// has the same ones as defaults of the mesh.
import { describe, duration, record, refused, z } from './schema.js';
import { parseDurationMs } from '../util/duration.js';

/** Limits are unsigned 32-bit numbers in Envoy's messages; Istio takes signed ones, and 0 for "not set". */
const highestCount = 2 ** 31 - 1;
const count = z
  .int('must be a whole number')
  .min(0, 'must not be negative')
  .max(highestCount, `must be at most ${highestCount}`);
const percent = z.int('must be a whole number').min(0, 'must be from 0 to 100').max(100, 'must be from 0 to 100');

/** A time that must pass: zero is none of those that the field can have. */
const positiveDuration = duration.refine((value) => parseDurationMs(value) !== 0, 'must be at least 1ms');

export const tcpKeepalive = record({
  time: describe(
    positiveDuration.optional(),
    "How long a connection is silent before it is probed; default the system's, on Linux 2h.",
  ),
  probes: refused('Probes without an answer before a connection counts as dead.', 'only `time` can be set here'),
  interval: refused('Time between probes.', 'only `time` can be set here'),
});

const tcpSettings = record({
  maxConnections: describe(
    count.optional(),
    'Connections to all endpoints of the host together; default and 0: no limit.',
  ),
  connectTimeout: describe(
    positiveDuration.optional(),
    'How long a connection may take to open; default that of MeshConfig, 10s.',
  ),
  tcpKeepalive: describe(tcpKeepalive.optional(), 'Probes silent connections; default that of MeshConfig, none.'),
  maxConnectionDuration: describe(
    positiveDuration.optional(),
    'Age at which a connection is used no longer; default: no limit.',
  ),
  idleTimeout: describe(
    duration.optional(),
    'How long a connection without traffic is kept; default 1h; 0s: for ever.',
  ),
});

const httpSettings = record({
  http1MaxPendingRequests: describe(
    count.optional(),
    'Requests that may wait for a connection, all endpoints together; default and 0: no limit.',
  ),
  http2MaxRequests: describe(
    count.optional(),
    'Requests under way at all endpoints together, whatever the protocol; default and 0: no limit.',
  ),
  maxRequestsPerConnection: describe(
    count.optional(),
    'Requests after which a connection is closed; 1 means no keep-alive; default and 0: no limit.',
  ),
  maxRetries: describe(
    count.optional(),
    'Retries under way at all endpoints together. Where it is set and retryBudget is not, it takes the place of the budget; default and 0: the budget decides.',
  ),
  idleTimeout: describe(
    duration.optional(),
    'How long a connection without requests is kept; default that of tcp, 1h; 0s: for ever.',
  ),
  maxConcurrentStreams: describe(
    count.optional(),
    'Requests that are under way on one connection of HTTP/2; default and 0: 100. Without effect where HTTP/1.1 is spoken.',
  ),
  useClientProtocol: describe(
    z.boolean().optional(),
    'Speaks the version of HTTP to the host that the caller speaks, whatever the port is declared as and h2UpgradePolicy says; default false.',
  ),
  h2UpgradePolicy: describe(
    z.enum(['DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE']).optional(),
    'UPGRADE: speaks HTTP/2 to the host, on detected ports too; DO_NOT_UPGRADE: leaves requests as they are; DEFAULT (default): as MeshConfig says.',
  ),
});

export const connectionPool = record({
  tcp: describe(tcpSettings.optional(), 'For connections of every protocol.'),
  http: describe(httpSettings.optional(), 'For HTTP.'),
}).refine((value) => value.tcp !== undefined || value.http !== undefined, 'needs tcp or http');

export const outlierDetection = record({
  consecutive5xxErrors: describe(
    count.optional(),
    'Responses of 5xx, connections that failed and timeouts in a row, after which an endpoint is ejected; default 5; 0: off.',
  ),
  consecutiveGatewayErrors: describe(
    count.optional(),
    'The same for 502, 503, 504 and connections that failed; default and 0: off.',
  ),
  splitExternalLocalOriginErrors: describe(
    z.boolean().optional(),
    'Counts failures to connect and timeouts apart from responses; default false.',
  ),
  consecutiveLocalOriginFailures: describe(
    count.optional(),
    'Failures to connect and timeouts in a row, where they are counted apart; default 5.',
  ),
  interval: describe(
    positiveDuration.optional(),
    'How often ejected endpoints are looked at and those whose time is over return; default 10s.',
  ),
  baseEjectionTime: describe(
    positiveDuration.optional(),
    'How long an endpoint is ejected, times how often it was; at most 300s, or this where it is longer; default 30s.',
  ),
  maxEjectionPercent: describe(
    percent.optional(),
    'Share of the endpoints that may be ejected at a time; default and 0: 10.',
  ),
  minHealthPercent: describe(
    percent.optional(),
    'Below this share of endpoints that are not ejected ejection is disregarded; default 0: never.',
  ),
  consecutiveErrors: refused('Older name of consecutiveGatewayErrors.', 'write consecutiveGatewayErrors'),
  outlierDetectionHttpErrorCodes: refused('Status codes that count as errors.'),
}).superRefine((value, context) => {
  if ((value.consecutiveLocalOriginFailures ?? 0) > 0 && value.splitExternalLocalOriginErrors !== true)
    context.addIssue({
      code: 'custom',
      path: ['consecutiveLocalOriginFailures'],
      message: 'needs splitExternalLocalOriginErrors: true',
    });
});

export const retryBudget = record({
  percent: describe(
    z.number('must be a number').min(0, 'must be from 0 to 100').max(100, 'must be from 0 to 100').optional(),
    'Retries under way per hundred requests under way; default 20.',
  ),
  minRetryConcurrency: describe(count.optional(), 'Retries that are allowed in any case; default 3.'),
});

/** What MeshConfig gives to hosts whose DestinationRule says nothing. */
export const defaultTrafficPolicy = record({
  connectionPool: describe(connectionPool.optional(), 'Limits of connections and requests.'),
  outlierDetection: describe(outlierDetection.optional(), 'Ejects endpoints that fail.'),
});

export type ConnectionPool = z.infer<typeof connectionPool>;
export type OutlierDetection = z.infer<typeof outlierDetection>;
export type RetryBudget = z.infer<typeof retryBudget>;
export type TcpKeepalive = z.infer<typeof tcpKeepalive>;
