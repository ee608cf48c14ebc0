// Answers requests of routes that have a fixed answer.
import type { Headers } from '../message.js';
import type { Layer } from '../stack.js';

export const answerDirectly: Layer = {
  onRequest(exchange) {
    const action = exchange.route!.action;
    if (action.kind !== 'direct') return true;
    const headers: Headers = [];
    action.responseHeaders?.(headers, exchange);
    exchange.responseCodeDetails = 'direct_response';
    exchange.reply(action.status, headers, action.body);
    return false;
  },
};
