// Answers requests of routes that redirect.
import type { Headers } from '../message.js';
import type { Layer } from '../stack.js';

export const redirect: Layer = {
  onRequest(exchange) {
    const action = exchange.route!.action;
    if (action.kind !== 'redirect') return true;
    const headers: Headers = ['location', action.locationOf(exchange.request)];
    action.responseHeaders?.(headers, exchange);
    exchange.responseCodeDetails = 'direct_response';
    exchange.reply(action.status, headers, '');
    return false;
  },
};
