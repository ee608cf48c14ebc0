// One try of a request at one endpoint: chosen by the cluster's balancer, counted against its limits, sent over its pool.
import type { Cluster } from '../cluster/cluster.js';
import type { Endpoint } from '../cluster/endpoint.js';
import type { AttemptResult } from '../cluster/outlier-detector.js';
import type { Exchange } from './exchange.js';

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
  exchange.pool = endpoint.httpPool(protocolsFor(exchange, cluster, endpoint));
  exchange.pool.dispatch(exchange);
}

/** What to offer to the endpoint in the handshake: nothing where there is none. */
function protocolsFor({ settings, request }: Exchange, { config }: Cluster, { options }: Endpoint): readonly string[] {
  if (options.tls === undefined) return [];
  const isHttp2 =
    config.httpProtocol === 'http2' || (config.httpProtocol === 'downstream' && request.version === 'HTTP/2');
  return isHttp2 ? settings.upstreamProtocols.http2 : settings.upstreamProtocols.http1;
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
