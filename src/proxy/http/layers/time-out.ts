// Ends a request that takes too long. As in Envoy one limit begins when the request is complete and another with it, and a caller
// of gRPC may set a shorter one, which is told to the server.
import type { GrpcDeadline } from '../../config/route-timeouts.js';
import { recordResult } from '../attempt.js';
import type { Exchange } from '../exchange.js';
import type { GrpcCall } from '../grpc-call.js';
import { formatGrpcTimeout, parseGrpcTimeout } from '../grpc-timeout.js';
import { findHeader, setHeader } from '../message.js';
import type { ForwardAction } from '../route-table.js';
import type { Layer } from '../stack.js';

/** What timers can count, some 24 days. */
const longestTimerMs = 2 ** 31 - 1;

export const timeOut: Layer = {
  onRequest(exchange) {
    const action = exchange.route!.action;
    if (action.kind !== 'forward') return true;
    if (exchange.grpc !== undefined && action.grpcDeadline !== undefined)
      honourDeadline(exchange, exchange.grpc, action, action.grpcDeadline);
    else if (action.longestMs > 0) endAfter(exchange, action.longestMs, false);
    return true;
  },
  onRequestEnd(exchange) {
    const action = exchange.route?.action;
    if (action?.kind !== 'forward') return;
    const afterMs = exchange.grpc?.timeoutMs ?? action.timeoutMs;
    if (afterMs > 0) exchange.timer = setTimeout(expire, afterMs, exchange, afterMs);
  },
  onComplete(exchange) {
    if (exchange.timer !== undefined) clearTimeout(exchange.timer);
  },
};

function honourDeadline(
  exchange: Exchange,
  call: GrpcCall,
  action: ForwardAction,
  { from, mostMs }: GrpcDeadline,
): void {
  const { headers } = exchange.request;
  const askedMs = parseGrpcTimeout(findHeader(headers, 'grpc-timeout') ?? '');
  const isCallers = askedMs !== undefined && !(mostMs > 0 && mostMs < askedMs);
  const afterMs = isCallers ? askedMs : from === 'begin' && askedMs === undefined ? action.longestMs : mostMs;
  if (from === 'end') call.timeoutMs = 0;
  if (afterMs === 0 && !isCallers) return;
  const timerMs = Math.min(longestTimerMs, Math.max(1, afterMs)); // nothing is left of 0: it is over as soon as it has begun
  tellServer(exchange, action, timerMs, askedMs);
  if (from === 'begin') {
    endAfter(exchange, timerMs, isCallers);
    return;
  }
  call.timeoutMs = timerMs;
  call.isCallersTimeout = isCallers;
}

/** The server learns what it has, which is less than the caller asked for where the route says so, or one attempt gets less. */
function tellServer({ request }: Exchange, { retries }: ForwardAction, limitMs: number, askedMs = Infinity): void {
  const tryMs = retries?.perTryTimeoutMs ?? 0;
  const leftMs = tryMs > 0 ? Math.min(tryMs, limitMs) : limitMs;
  if (leftMs < Math.min(askedMs, longestTimerMs)) setHeader(request.headers, 'grpc-timeout', formatGrpcTimeout(leftMs));
}

/** Counts from the beginning of the request. */
function endAfter(exchange: Exchange, afterMs: number, isCallers: boolean): void {
  const leftMs = afterMs - (performance.now() - exchange.startMs);
  exchange.timer = setTimeout(end, leftMs, exchange, afterMs, isCallers);
}

function end(exchange: Exchange, afterMs: number, isCallers: boolean): void {
  exchange.fail({ kind: 'expired', afterMs, isCallers, requestEnded: exchange.requestEnded });
}

function expire(exchange: Exchange, afterMs: number): void {
  if (exchange.isAtEndpoint && exchange.response === undefined) recordResult(exchange, 'failed');
  exchange.fail({ kind: 'timeout', afterMs, isCallers: exchange.grpc?.isCallersTimeout === true });
}
