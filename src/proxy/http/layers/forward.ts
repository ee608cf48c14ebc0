// Sends the request on: finds the cluster, chooses an endpoint, takes a connection from its pool.
import { beginAttempt } from '../attempt.js';
import type { Exchange } from '../exchange.js';
import { setHeader } from '../message.js';
import type { Layer } from '../stack.js';

const serviceTime = 'x-envoy-upstream-service-time';

export const forward: Layer = {
  onRequest(exchange) {
    const { destination, environment } = exchange;
    const action = exchange.route!.action;
    const cluster = destination === undefined ? undefined : environment.findCluster(destination.cluster);
    if (cluster === undefined) {
      exchange.fail({
        kind: 'no-cluster',
        cluster: destination?.cluster ?? '',
        status: action.kind === 'forward' ? action.notFoundStatus : 503,
      });
      return false;
    }
    exchange.cluster = cluster;
    if (cluster.config.internalListener !== undefined) return openTunnel(exchange, cluster.config.internalListener);
    beginAttempt(exchange);
    return true;
  },
  onResponse(exchange, head) {
    setHeader(head.headers, serviceTime, String(Math.round(performance.now() - exchange.forwardedMs)));
  },
};

/** A CONNECT goes on in another listener of this proxy, as if the address of the service had been called. */
function openTunnel(exchange: Exchange, listenerName: string): boolean {
  const listener = exchange.environment.findListener(listenerName);
  if (listener === undefined) {
    exchange.fail({ kind: 'no-cluster', cluster: listenerName, status: 503 });
    return false;
  }
  exchange.isCounted = false;
  exchange.response = { status: 200, headers: [], framing: 'none', contentLength: -1, headBytes: 0 };
  const { socket, first } = exchange.downstream.openTunnel();
  exchange.complete();
  listener.accept(socket, first);
  return false;
}
