// The contract of limits and outlier detection: what a cluster says of connections, requests, retries and ejection, read
// from Envoy's messages into plain values with Envoy's defaults.
import type { Duration, UInt32Value } from '@bufbuild/protobuf/wkt';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { UnsupportedConfig } from '../http/matchers.js';
import {
  HttpProtocolOptionsSchema,
  RoutingPriority,
  type Cluster,
  type HttpProtocolOptions,
  type OutlierDetection,
} from '../../xds/messages.js';
import { durationMs, timeLimitMs } from './duration.js';
import { readUpstreamHttp, type UpstreamHttpConfig } from './http2-config.js';

/** Key under which Envoy keeps the HTTP options of a cluster. */
export const httpOptionsKey = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** How much may be under way at all endpoints of a cluster together (Envoy: CircuitBreakers.Thresholds). */
export interface ClusterLimits {
  /** Connections, open and opening. */
  readonly maxConnections: number;
  /** Requests that wait for a connection. */
  readonly maxPendingRequests: number;
  /** Requests under way, waiting ones included. */
  readonly maxRequests: number;
  /** Retries under way; without effect where there is a budget. */
  readonly maxRetries: number;
  readonly retryBudget: RetryBudget | undefined;
}

export interface RetryBudget {
  /** Retries under way per hundred requests under way. */
  readonly percent: number;
  /** Retries that may be under way in any case. */
  readonly minConcurrency: number;
}

/** When endpoints are ejected and for how long. Counts are of failures in a row; 0 turns a count off. */
export interface OutlierConfig {
  /** Responses of 5xx; failures of our own (connect, reset, timeout) too, where they are not split. */
  readonly consecutive5xx: number;
  /** Responses of 502, 503, 504; failures of our own too, where they are not split. */
  readonly consecutiveGatewayFailure: number;
  /** Failures of our own; counted only where they are split. */
  readonly consecutiveLocalOriginFailure: number;
  /** Whether failures of our own are counted apart from responses. */
  readonly splitExternalLocalOrigin: boolean;
  /** How often ejected endpoints are looked at. */
  readonly intervalMs: number;
  /** How long an endpoint is ejected: this times the number of times that it was. */
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  /** Share of the endpoints that may be ejected, from 0 to 100. */
  readonly maxEjectionPercent: number;
  /** Whether one endpoint may be ejected whatever the share. */
  readonly alwaysEjectOne: boolean;
  /** Below this share of endpoints that are not ejected all are used, from 0 to 100; 0: never. */
  readonly panicThresholdPercent: number;
}

/** What a cluster says of its connections. */
export interface ConnectionConfig extends UpstreamHttpConfig {
  readonly limits: ClusterLimits;
  readonly outlierDetection: OutlierConfig | undefined;
  /** How long an HTTP connection without requests is kept. */
  readonly idleTimeoutMs: number;
  /** Requests after which an HTTP connection is closed; Infinity: no limit. */
  readonly maxRequestsPerConnection: number;
  /** Age at which an HTTP connection takes no more requests; undefined: no limit. */
  readonly maxConnectionDurationMs: number | undefined;
  /** TCP keepalive: silence after which a connection is probed; undefined: off. */
  readonly keepalive: { readonly timeMs: number } | undefined;
}

/** What Linux waits before it probes a silent connection. */
const systemKeepaliveMs = 7_200_000;
/** Envoy's defaults. */
const defaultIdleMs = 3_600_000;
const defaultLimit = 1024;
const defaultPanicPercent = 50;

/** @throws UnsupportedConfig */
export function readConnectionConfig(cluster: Cluster): ConnectionConfig {
  const options = readHttpOptions(cluster);
  const http = options?.commonHttpProtocolOptions;
  return {
    ...readUpstreamHttp(cluster, options),
    limits: readLimits(cluster),
    outlierDetection:
      cluster.outlierDetection === undefined
        ? undefined
        : readOutlierDetection(
            cluster.outlierDetection,
            cluster.commonLbConfig?.healthyPanicThreshold?.value ?? defaultPanicPercent,
          ),
    idleTimeoutMs: timeLimitMs(http?.idleTimeout, defaultIdleMs),
    maxRequestsPerConnection: http?.maxRequestsPerConnection || Infinity,
    maxConnectionDurationMs: durationMs(http?.maxConnectionDuration) || undefined,
    keepalive: readKeepalive(cluster),
  };
}

function readLimits({ circuitBreakers }: Cluster): ClusterLimits {
  if (circuitBreakers !== undefined && circuitBreakers.perHostThresholds.length > 0)
    throw new UnsupportedConfig('circuit breakers of single endpoints are not supported');
  const thresholds = circuitBreakers?.thresholds.find(({ priority }) => priority === RoutingPriority.DEFAULT);
  if (thresholds?.maxConnectionPools !== undefined)
    throw new UnsupportedConfig('a limit of connection pools is not supported');
  const budget = thresholds?.retryBudget;
  return {
    maxConnections: thresholds?.maxConnections ?? defaultLimit,
    maxPendingRequests: thresholds?.maxPendingRequests ?? defaultLimit,
    maxRequests: thresholds?.maxRequests ?? defaultLimit,
    maxRetries: thresholds?.maxRetries ?? 3,
    retryBudget:
      budget === undefined
        ? undefined
        : { percent: budget.budgetPercent?.value ?? 20, minConcurrency: budget.minRetryConcurrency ?? 3 },
  };
}

function readOutlierDetection(outlier: OutlierDetection, panicThresholdPercent: number): OutlierConfig {
  const split = outlier.splitExternalLocalOriginErrors;
  const byStatistics =
    (outlier.enforcingSuccessRate ?? 100) > 0 ||
    (split && (outlier.enforcingLocalOriginSuccessRate ?? 100) > 0) ||
    (outlier.enforcingFailurePercentage ?? 0) > 0 ||
    (outlier.enforcingFailurePercentageLocalOrigin ?? 0) > 0;
  if (byStatistics || outlier.monitors.length > 0)
    throw new UnsupportedConfig(
      'endpoints are ejected for failures in a row only, not by rates; enforce none of those',
    );
  if ((durationMs(outlier.maxEjectionTimeJitter) ?? 0) > 0)
    throw new UnsupportedConfig('jitter of ejection times is not supported');
  const baseEjectionMs = positiveMs(outlier.baseEjectionTime, 30_000, 'base_ejection_time');
  return {
    consecutive5xx: enforced(outlier.consecutive5xx, outlier.enforcingConsecutive5xx, 100),
    consecutiveGatewayFailure: enforced(
      outlier.consecutiveGatewayFailure,
      outlier.enforcingConsecutiveGatewayFailure,
      0,
    ),
    consecutiveLocalOriginFailure: split
      ? enforced(outlier.consecutiveLocalOriginFailure, outlier.enforcingConsecutiveLocalOriginFailure, 100)
      : 0,
    splitExternalLocalOrigin: split,
    intervalMs: positiveMs(outlier.interval, 10_000, 'interval'),
    baseEjectionMs,
    maxEjectionMs: Math.max(baseEjectionMs, positiveMs(outlier.maxEjectionTime, 300_000, 'max_ejection_time')),
    maxEjectionPercent: Math.min(100, outlier.maxEjectionPercent ?? 10),
    alwaysEjectOne: outlier.alwaysEjectOneHost ?? false,
    panicThresholdPercent,
  };
}

/** The count (Envoy's default is 5), or 0 where it is off; ejecting by chance is not supported. */
function enforced(
  count: UInt32Value['value'] | undefined,
  enforcing: UInt32Value['value'] | undefined,
  defaultEnforcing: number,
): number {
  const percent = enforcing ?? defaultEnforcing;
  if (percent !== 0 && percent !== 100)
    throw new UnsupportedConfig(`ejecting with a chance of ${percent} % is not supported; enforce 0 or 100`);
  return percent === 0 ? 0 : (count ?? 5);
}

function positiveMs(duration: Duration | undefined, defaultMs: number, name: string): number {
  const ms = durationMs(duration) ?? defaultMs;
  if (!(ms > 0)) throw new UnsupportedConfig(`${name} of outlier detection must be more than 0`);
  return ms;
}

function readHttpOptions(cluster: Cluster): HttpProtocolOptions | undefined {
  const packed = cluster.typedExtensionProtocolOptions[httpOptionsKey];
  if (packed === undefined) return undefined;
  const options = anyUnpack(packed, HttpProtocolOptionsSchema);
  if (options === undefined) throw new UnsupportedConfig(`${packed.typeUrl} is not the type of ${httpOptionsKey}`);
  const common = options.commonHttpProtocolOptions;
  if (options.httpFilters.length > 0) throw new UnsupportedConfig('HTTP filters of clusters are not supported');
  if (common?.maxHeadersCount !== undefined || common?.maxStreamDuration !== undefined)
    throw new UnsupportedConfig('limits of headers and of the duration of requests are not supported for clusters');
  return options;
}

function readKeepalive({ upstreamConnectionOptions }: Cluster): ConnectionConfig['keepalive'] {
  const keepalive = upstreamConnectionOptions?.tcpKeepalive;
  if (keepalive === undefined) return undefined;
  if (keepalive.keepaliveProbes !== undefined || keepalive.keepaliveInterval !== undefined)
    throw new UnsupportedConfig('of TCP keepalive only the time before the first probe can be set');
  return { timeMs: keepalive.keepaliveTime === undefined ? systemKeepaliveMs : keepalive.keepaliveTime * 1000 };
}
