// Tries a request again where its route says so: at another endpoint, after a pause, within the cluster's retry budget, and
// only while all of the request is still at hand and nothing of an answer has been passed on.
import type { RetryConfig } from '../../config/route-config.js';
import type { Endpoint } from '../../cluster/endpoint.js';
import { beginAttempt } from '../attempt.js';
import type { Exchange } from '../exchange.js';
import { retriesAnswer, retriesFailure } from '../retry-conditions.js';
import type { Layer } from '../stack.js';

/** What became of the attempts of one request; it exists from the first one that is tried again. */
export interface RetryState {
  left: number;
  readonly tried: Endpoint[];
  /** The pause before the next attempt. */
  pause: NodeJS.Timeout | undefined;
  /** Whether the present attempt is a retry and counts as one in its cluster. */
  counts: boolean;
}

export const retry: Layer = {
  onRequest(exchange) {
    if (policyOf(exchange) !== undefined) exchange.keepsBody = true;
    return true;
  },
  onRequestEnd(exchange) {
    if (exchange.isAtEndpoint) startTryTimer(exchange);
  },
  onFailure(exchange, failure) {
    endTry(exchange);
    const policy = policyOf(exchange);
    return policy !== undefined && retriesFailure(policy, failure) && tryAgain(exchange, policy);
  },
  onAnswer(exchange, head) {
    const policy = policyOf(exchange);
    return policy !== undefined && retriesAnswer(policy, head) && tryAgain(exchange, policy);
  },
  onComplete(exchange) {
    endTry(exchange);
    clearTimeout(exchange.retries?.pause);
  },
};

function policyOf({ route }: Exchange): RetryConfig | undefined {
  return route?.action.kind === 'forward' ? route.action.retries : undefined;
}

/** Gives the attempt up and begins another after a pause; false where that may not be. */
function tryAgain(exchange: Exchange, policy: RetryConfig): boolean {
  if (!exchange.canSendAgain || exchange.endpoint === undefined) return false;
  const { usage, service } = exchange.cluster!;
  const state = (exchange.retries ??= { left: policy.attempts, tried: [], pause: undefined, counts: false });
  const count = (outcome: string) =>
    exchange.environment.registry
      .counter('lateen_retries_total', 'destination_service', service.host, 'outcome', outcome)
      .add(0, 1);
  endTry(exchange);
  if (state.left === 0) {
    exchange.retryFlag = 'URX';
    count('limit_exceeded');
    return false;
  }
  if (!usage.hasRoomForRetry) {
    exchange.retryFlag = 'UO';
    count('budget_exceeded');
    return false;
  }
  state.left--;
  state.tried.push(exchange.endpoint);
  state.counts = true;
  usage.retries++;
  count('tried');
  exchange.giveUpAttempt();
  state.pause = setTimeout(beginRetry, pauseMs(policy, state.tried.length, exchange.environment.random()), exchange);
  return true;
}

function beginRetry(exchange: Exchange): void {
  if (!exchange.isWaiting) return;
  const policy = policyOf(exchange)!;
  const state = exchange.retries!;
  state.pause = undefined;
  beginAttempt(exchange, policy.avoidPreviousHosts ? state.tried : [], policy.hostSelectionAttempts);
  if (exchange.requestEnded && exchange.isAtEndpoint) startTryTimer(exchange);
}

/** Envoy's back-off: anywhere below a bound that doubles with every retry. */
function pauseMs({ backoffBaseMs, backoffMaxMs }: RetryConfig, retries: number, random: number): number {
  return random * Math.min(backoffBaseMs * (2 ** retries - 1), backoffMaxMs);
}

function startTryTimer(exchange: Exchange): void {
  const afterMs = policyOf(exchange)?.perTryTimeoutMs ?? 0;
  if (afterMs > 0) exchange.tryTimer = setTimeout(expire, afterMs, exchange, afterMs);
}

function expire(exchange: Exchange, afterMs: number): void {
  exchange.tryTimer = undefined;
  exchange.failAttempt({ kind: 'try-timeout', afterMs });
}

/** The present attempt is over. */
function endTry(exchange: Exchange): void {
  clearTimeout(exchange.tryTimer);
  exchange.tryTimer = undefined;
  if (exchange.retries?.counts !== true) return;
  exchange.retries.counts = false;
  exchange.cluster!.usage.retries--;
}
