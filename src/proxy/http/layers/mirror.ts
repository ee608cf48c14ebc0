// Sends copies of a share of the requests to other clusters; what they answer is dropped.
import { poolFor } from '../attempt.js';
import { Mirror } from '../mirror.js';
import type { Layer } from '../stack.js';

export const mirror: Layer = {
  onRequest(exchange) {
    const { request, environment, settings } = exchange;
    const action = exchange.route!.action;
    if (action.kind !== 'forward' || action.mirrors.length === 0) return true;
    for (const { cluster: name, fraction, hostSuffix } of action.mirrors) {
      if (environment.random() >= fraction) continue;
      const cluster = environment.findCluster(name);
      const endpoint = cluster?.usage.hasRoomForRequest === true ? cluster.pick() : undefined;
      if (endpoint === undefined) continue; // nobody waits for a copy, so nobody is told
      const copy = {
        ...request,
        authority: request.authority + hostSuffix,
        headers: [...request.headers],
        upgrade: undefined,
      };
      const sent = new Mirror(copy, cluster!, endpoint, poolFor(endpoint, cluster!, copy, settings), action.timeoutMs);
      for (const chunk of exchange.heldBody) sent.sendBody(chunk); // what came while the request was kept back
      (exchange.mirrors ??= []).push(sent);
    }
    return true;
  },
  onRequestEnd({ mirrors, requestTrailers }) {
    if (mirrors !== undefined) for (const one of mirrors) one.sendEnd(requestTrailers);
  },
  onComplete({ mirrors }) {
    // Half a request is no copy of one.
    if (mirrors !== undefined) for (const one of mirrors) if (!one.isComplete) one.cancel();
  },
};
