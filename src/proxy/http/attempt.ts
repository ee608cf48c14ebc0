// One try of a request at one endpoint: chosen by the cluster's balancer, counted against its limits, sent over its pool.
import type { Cluster } from '../cluster/cluster.js';
import type { Endpoint } from '../cluster/endpoint.js';
import type { AttemptResult } from '../cluster/outlier-detector.js';
import type { HttpSettings } from './environment.js';
import type { Exchange } from './exchange.js';
import type { RequestHead } from './message.js';
import type { HttpPool } from './pool.js';

/**
 * Sends the request to an endpoint of its cluster; where that is not possible the exchange fails.
 * @param avoid endpoints that are not chosen again where there are others
 * @param longestSearch how often to choose again for that
 */
export function beginAttempt(exchange: Exchange, avoid: readonly Endpoint[] = [], longestSearch = 0): void {
  const cluster = exchange.cluster!;
  const { usage } = cluster;
  if (!usage.hasRoomForRequest) {
    exchange.fail({ kind: 'overflow' });
    return;
  }
  let endpoint = cluster.pick();
  for (let search = longestSearch; search > 0 && endpoint !== undefined && avoid.includes(endpoint); search--)
    endpoint = cluster.pick();
  if (endpoint === undefined) {
    exchange.fail({ kind: 'no-endpoint' });
    return;
  }
  exchange.endpoint = endpoint;
  exchange.isAtEndpoint = true;
  exchange.forwardedMs = performance.now();
  endpoint.active++;
  usage.requests++;
  exchange.pool = poolFor(endpoint, cluster, exchange.request, exchange.settings);
  exchange.pool.dispatch(exchange);
}

/** The connections on which a request goes to an endpoint: in the version that the cluster says. */
export function poolFor(
  endpoint: Endpoint,
  { config: { httpProtocol } }: Cluster,
  { version }: RequestHead,
  { upstreamProtocols }: HttpSettings,
): HttpPool {
  const isHttp2 = httpProtocol === 'http2' || (httpProtocol === 'downstream' && version === 'HTTP/2');
  return endpoint.httpPool(isHttp2 ? upstreamProtocols.http2 : upstreamProtocols.http1, isHttp2);
}

/** Tells the cluster how the attempt went: once, at its first byte or at its failure. */
export function recordResult({ cluster, endpoint }: Exchange, result: AttemptResult): void {
  if (endpoint !== undefined) cluster!.outliers?.record(endpoint, result);
}

/** The request is no longer at its endpoint. */
export function endAttempt(exchange: Exchange): void {
  if (!exchange.isAtEndpoint) return;
  exchange.isAtEndpoint = false;
  exchange.endpoint!.active--;
  exchange.cluster!.usage.requests--;
}
