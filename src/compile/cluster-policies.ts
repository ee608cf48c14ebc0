// What DestinationRules say of connections, as Envoy's clusters carry it: limits, times, outlier detection, retry budget.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ConnectionPool, OutlierDetection, RetryBudget } from '../api/connection-policy.js';
import type { TrafficPolicy } from '../api/destination-rule.js';
import type { MeshConfig } from '../api/mesh-config.js';
import { parseDurationMs } from '../util/duration.js';
import type { ClusterSchema } from '../xds/messages.js';
import { durationOf } from './messages.js';
import { httpOptions, type UpstreamHttp } from './upstream-http.js';

type ClusterInit = Exclude<MessageInitShape<typeof ClusterSchema>, { $typeName: string }>;

/** What stands for "no limit" in Envoy's messages; its own default is 1024. */
const unlimited = 0xffff_ffff;

/** Bounds retries where nobody says otherwise; in Istio only where a rule has the block. */
const defaultBudget = { percent: 20, minRetryConcurrency: 3 };

/** Blocks of a policy that concern connections. */
export type ConnectionPolicy = Pick<TrafficPolicy, 'connectionPool' | 'outlierDetection' | 'retryBudget'>;

/** Fields of a cluster for connections to endpoints of the mesh. */
export function connectionFields(
  meshConfig: MeshConfig,
  policy: ConnectionPolicy,
  http: UpstreamHttp = 'http1',
): ClusterInit {
  const pool = policy.connectionPool;
  return {
    connectTimeout: durationOf(parseDurationMs(pool?.tcp?.connectTimeout ?? meshConfig.connectTimeout)!),
    circuitBreakers: { thresholds: [thresholds(pool, policy.retryBudget)] },
    ...httpOptions(http, pool),
    ...keepalive(pool?.tcp?.tcpKeepalive ?? meshConfig.tcpKeepalive),
    ...outlierFields(policy.outlierDetection),
  };
}

/** In Istio's numbers 0 cannot be told from "not set". */
function limit(count: number | undefined): number {
  return count === undefined || count === 0 ? unlimited : count;
}

function thresholds(pool: ConnectionPool | undefined, budget: RetryBudget | undefined) {
  const maxRetries = pool?.http?.maxRetries ?? 0;
  return {
    maxConnections: limit(pool?.tcp?.maxConnections),
    maxPendingRequests: limit(pool?.http?.http1MaxPendingRequests),
    maxRequests: limit(pool?.http?.http2MaxRequests),
    maxRetries: limit(maxRetries),
    trackRemaining: true,
    // Envoy disregards max_retries beside a budget: who sets that number and no budget means the number.
    ...(budget === undefined && maxRetries > 0
      ? {}
      : {
          retryBudget: {
            budgetPercent: { value: budget?.percent ?? defaultBudget.percent },
            minRetryConcurrency: budget?.minRetryConcurrency ?? defaultBudget.minRetryConcurrency,
          },
        }),
  };
}

function keepalive(settings: NonNullable<ConnectionPool['tcp']>['tcpKeepalive']): ClusterInit {
  if (settings === undefined) return {};
  const keepaliveTime =
    settings.time === undefined ? undefined : Math.max(1, Math.round(parseDurationMs(settings.time)! / 1000));
  return { upstreamConnectionOptions: { tcpKeepalive: keepaliveTime === undefined ? {} : { keepaliveTime } } };
}

/** A count with the switch that belongs to it. */
const switchOf = (count: number) => (count > 0 ? 100 : 0);

function outlierFields(outlier: OutlierDetection | undefined): ClusterInit {
  if (outlier === undefined) return {};
  const { consecutive5xxErrors, consecutiveGatewayErrors, consecutiveLocalOriginFailures } = outlier;
  return {
    outlierDetection: {
      enforcingSuccessRate: 0,
      ...(consecutive5xxErrors === undefined
        ? {}
        : { consecutive5xx: consecutive5xxErrors, enforcingConsecutive5xx: switchOf(consecutive5xxErrors) }),
      ...(consecutiveGatewayErrors === undefined
        ? {}
        : {
            consecutiveGatewayFailure: consecutiveGatewayErrors,
            enforcingConsecutiveGatewayFailure: switchOf(consecutiveGatewayErrors),
          }),
      ...(outlier.splitExternalLocalOriginErrors === true
        ? {
            splitExternalLocalOriginErrors: true,
            enforcingLocalOriginSuccessRate: 0,
            ...((consecutiveLocalOriginFailures ?? 0) > 0
              ? {
                  consecutiveLocalOriginFailure: consecutiveLocalOriginFailures!,
                  enforcingConsecutiveLocalOriginFailure: 100,
                }
              : {}),
          }
        : {}),
      ...(outlier.interval === undefined ? {} : { interval: durationOf(parseDurationMs(outlier.interval)!) }),
      ...(outlier.baseEjectionTime === undefined
        ? {}
        : { baseEjectionTime: durationOf(parseDurationMs(outlier.baseEjectionTime)!) }),
      ...((outlier.maxEjectionPercent ?? 0) > 0 ? { maxEjectionPercent: outlier.maxEjectionPercent! } : {}),
    },
    // Envoy's default of 50 is not for services of a few endpoints.
    commonLbConfig: { healthyPanicThreshold: { value: outlier.minHealthPercent ?? 0 } },
  };
}
