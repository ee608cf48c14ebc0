// When a request may be tried again: Envoy's conditions (x-envoy-retry-on), decided from how an attempt ended.
import type { RetryConfig } from '../config/route-config.js';
import type { Failure } from './failures.js';
import { findHeader, type ResponseHead } from './message.js';

/** Statuses of gRPC by the conditions that name them. */
const grpcConditions: Readonly<Record<string, string>> = {
  '1': 'cancelled',
  '4': 'deadline-exceeded',
  '8': 'resource-exhausted',
  '13': 'internal',
  '14': 'unavailable',
};

/** Whether an attempt without an answer is tried again. */
export function retriesFailure({ retryOn }: RetryConfig, { kind }: Failure): boolean {
  const anyReset = retryOn.has('reset') || retryOn.has('5xx') || retryOn.has('gateway-error');
  switch (kind) {
    case 'connect':
    case 'connect-timeout':
      return anyReset || retryOn.has('connect-failure') || retryOn.has('reset-before-request');
    case 'refused':
      return anyReset || retryOn.has('refused-stream') || retryOn.has('reset-before-request');
    case 'reset':
    case 'lost':
    case 'protocol':
    case 'try-timeout':
      return anyReset;
    default:
      return false;
  }
}

/** Whether an attempt with this answer is tried again. */
export function retriesAnswer(policy: RetryConfig, head: ResponseHead): boolean {
  const { retryOn, retriableStatusCodes, retriableHeaders } = policy;
  const { status, headers } = head;
  const grpcStatus = retryOn.size === 0 ? undefined : findHeader(headers, 'grpc-status');
  if (status < 400 && grpcStatus === undefined && retriableHeaders.length === 0) return false;
  // Who answers so asks for less, not for more.
  if (findHeader(headers, 'x-envoy-overloaded') !== undefined) return false;
  if (status >= 500 && retryOn.has('5xx')) return true;
  if (status >= 502 && status <= 504 && retryOn.has('gateway-error')) return true;
  if (status === 409 && retryOn.has('retriable-4xx')) return true;
  if (retryOn.has('retriable-status-codes') && retriableStatusCodes.includes(status)) return true;
  if (retryOn.has('retriable-headers') && retriableHeaders.some((matches) => matches(headers))) return true;
  const condition = grpcStatus === undefined ? undefined : grpcConditions[grpcStatus];
  return condition !== undefined && retryOn.has(condition);
}
