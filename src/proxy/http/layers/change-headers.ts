// Header changes of the route and of the destination that was chosen, on the way in and on the way back.
import type { Layer } from '../stack.js';

export const changeHeaders: Layer = {
  onRequest(exchange) {
    exchange.destination?.requestHeaders?.(exchange.request.headers, exchange);
    return true;
  },
  onResponse(exchange, head) {
    exchange.destination?.responseHeaders?.(head.headers, exchange);
  },
};
