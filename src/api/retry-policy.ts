// When and how often a request is tried again (Istio's HTTPRetry): of one rule, or of all in MeshConfig.
import { describe, positiveDuration, record, z } from './schema.js';

/** Conditions of Envoy (x-envoy-retry-on, x-envoy-retry-grpc-on) that Istio takes in `retryOn`. */
const conditions = new Set([
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'envoy-ratelimited',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]);

/** Whether a part of `retryOn` is a status instead of a condition. */
export function isStatusCode(part: string): boolean {
  return /^[1-5]\d\d$/.test(part);
}

const retryOn = z.string().superRefine((value, context) => {
  for (const part of value.split(',').map((text) => text.trim()))
    if (part !== '' && !conditions.has(part) && !isStatusCode(part))
      context.addIssue({
        code: 'custom',
        message: `names ${JSON.stringify(part)}, which is neither a status nor one of ${[...conditions].join(', ')}`,
      });
});

const fields = record({
  attempts: describe(
    z.int('must be a whole number').min(0, 'must not be negative').max(1000, 'must be at most 1000').optional(),
    'How often a request is tried again at most, after the first time; 0 turns retries off, and so does leaving it out here.',
  ),
  perTryTimeout: describe(
    positiveDuration.optional(),
    'For one try until its response is complete; default: the timeout of the rule.',
  ),
  retryOn: describe(
    retryOn.optional(),
    "Conditions and statuses, joined by commas. Default: Istio's, connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes.",
  ),
  retryRemoteLocalities: describe(
    z.boolean().optional(),
    'Whether other localities may be tried; here all endpoints are of one.',
  ),
  retryIgnorePreviousHosts: describe(
    z.boolean().optional(),
    'Whether endpoints that were tried already are avoided; default true.',
  ),
  backoff: describe(
    positiveDuration.optional(),
    'Base of the random, doubling pause between tries, which is at most ten times as long; default 25ms.',
  ),
});

/** @see https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRetry */
export const retryPolicy = fields.superRefine((value, context) => {
  const others = Object.keys(value).filter((name) => name !== 'attempts' && name !== 'backoff');
  if ((value.attempts ?? 0) === 0 && others.length > 0)
    context.addIssue({
      code: 'custom',
      message: `has ${others.join(', ')} but no attempts, which turns retries off; give attempts, or remove the others`,
    });
});

export type RetryPolicySpec = z.infer<typeof retryPolicy>;
