// Tells browsers which origins may read answers, and answers their preflights, as the route says (Envoy's CORS filter).
import type { CorsConfig } from '../../config/route-filters.js';
import type { Exchange } from '../exchange.js';
import { findHeader, setHeader, type Headers } from '../message.js';
import type { Layer } from '../stack.js';

export const cors: Layer = {
  onRequest(exchange) {
    const route = exchange.route!;
    if (route.cors === undefined || route.action.kind !== 'forward') return true;
    const origin = findHeader(exchange.request.headers, 'origin') ?? '';
    return origin === '' || permit(exchange, route.cors, origin);
  },
  onResponse(exchange, { headers }) {
    if (exchange.allowedOrigin !== undefined) tell(exchange, headers);
  },
  // Scripts may read failures too.
  onReply(exchange, headers) {
    if (exchange.allowedOrigin !== undefined) tell(exchange, headers);
  },
};

/** False where it was a preflight and is answered. */
function permit(exchange: Exchange, policy: CorsConfig, origin: string): boolean {
  const { request, environment, destination } = exchange;
  const isAllowed = policy.isAllowed(origin);
  if (isAllowed) exchange.allowedOrigin = origin;
  if (request.method !== 'OPTIONS') return true;
  const method = findHeader(request.headers, 'access-control-request-method') ?? '';
  if (method === '' || (!isAllowed && policy.forwardsUnmatched)) return true;
  exchange.cluster = environment.findCluster(destination?.cluster ?? ''); // it is counted for the service that it was meant for
  exchange.responseCodeDetails = 'cors_response';
  exchange.reply(200, answerPreflight(policy, method, request.headers), '');
  return false;
}

function answerPreflight(policy: CorsConfig, method: string, asked: Headers): Headers {
  const headers: Headers = [];
  const add = (name: string, value: string) => value !== '' && headers.push(`access-control-${name}`, value);
  if (policy.allowCredentials) add('allow-credentials', 'true');
  add('allow-methods', policy.allowMethods === '*' ? method : policy.allowMethods);
  add(
    'allow-headers',
    policy.allowHeaders === '*' ? (findHeader(asked, 'access-control-request-headers') ?? '') : policy.allowHeaders,
  );
  add('max-age', policy.maxAge);
  return headers;
}

/** Whatever the server says of it, the route decides. */
function tell({ allowedOrigin, route }: Exchange, headers: Headers): void {
  const { allowCredentials, exposeHeaders } = route!.cors!;
  setHeader(headers, 'access-control-allow-origin', allowedOrigin!);
  if (allowCredentials) setHeader(headers, 'access-control-allow-credentials', 'true');
  if (exposeHeaders !== '') setHeader(headers, 'access-control-expose-headers', exposeHeaders);
}
