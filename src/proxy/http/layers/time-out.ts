// Ends a request whose answer is not complete in time. As in Envoy the time begins when the request is complete.
import { recordResult } from '../attempt.js';
import type { Exchange } from '../exchange.js';
import type { Layer } from '../stack.js';

export const timeOut: Layer = {
  onRequestEnd(exchange) {
    const action = exchange.route?.action;
    if (action?.kind === 'forward' && action.timeoutMs > 0)
      exchange.timer = setTimeout(expire, action.timeoutMs, exchange, action.timeoutMs);
  },
  onComplete(exchange) {
    if (exchange.timer !== undefined) clearTimeout(exchange.timer);
  },
};

function expire(exchange: Exchange, afterMs: number): void {
  if (exchange.isAtEndpoint && exchange.response === undefined) recordResult(exchange, 'failed');
  exchange.fail({ kind: 'timeout', afterMs });
}
