// Retries of routes as Istio sends them: its defaults, overridden by MeshConfig and by the rule.
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { isStatusCode, type RetryPolicySpec } from '../api/retry-policy.js';
import { parseDurationMs } from '../util/duration.js';
import {
  PreviousHostsPredicateSchema,
  PreviousPrioritiesConfigSchema,
  RetryPolicySchema,
  type RetryPolicy,
} from '../xds/messages.js';
import { durationOf, typed } from './messages.js';

type RetryPolicyInit = Exclude<MessageInitShape<typeof RetryPolicySchema>, { $typeName: string }>;

/** Conditions in which the first try cannot have had an effect. */
const defaultRetryOn = 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes';
const byStatus = 'retriable-status-codes';

/** Prefers endpoints that were not tried yet. */
const previousHosts = {
  name: 'envoy.retry_host_predicates.previous_hosts',
  configType: { case: 'typedConfig' as const, value: typed(PreviousHostsPredicateSchema, {}) },
};

const previousPriorities = {
  name: 'envoy.retry_priorities.previous_priorities',
  configType: { case: 'typedConfig' as const, value: typed(PreviousPrioritiesConfigSchema, { updateFrequency: 2 }) },
};

/** Retries of a route to services; undefined where they are turned off, Istio's where nothing is said. */
export function compileRetries(spec: RetryPolicySpec | undefined): RetryPolicy | undefined {
  const policy: RetryPolicyInit = {
    retryOn: defaultRetryOn,
    numRetries: 2,
    retryHostPredicate: [previousHosts],
    hostSelectionRetryMaxAttempts: 5n,
  };
  if (spec === undefined) return create(RetryPolicySchema, policy);
  const attempts = spec.attempts ?? 0;
  if (attempts === 0) return undefined;
  return create(RetryPolicySchema, {
    ...policy,
    numRetries: attempts,
    ...conditionsOf(spec.retryOn),
    ...durationField('perTryTimeout', spec.perTryTimeout),
    ...(spec.retryIgnorePreviousHosts === false ? { retryHostPredicate: [] } : {}),
    ...(spec.retryRemoteLocalities === true ? { retryPriority: previousPriorities } : {}),
    ...(spec.backoff === undefined ? {} : { retryBackOff: durationField('baseInterval', spec.backoff) }),
  });
}

/** Retries of the route to the application itself: only of requests that it cannot have seen. */
export function inboundRetries(): RetryPolicyInit {
  return { retryOn: 'reset-before-request', numRetries: 2 };
}

/** Numbers among the conditions are statuses; they need the condition that looks at statuses. */
function conditionsOf(retryOn: string | undefined): RetryPolicyInit {
  const parts = (retryOn ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  if (parts.length === 0) return {};
  const conditions = parts.filter((part) => !isStatusCode(part));
  const retriableStatusCodes = parts.filter(isStatusCode).map(Number);
  if (retriableStatusCodes.length > 0 && !conditions.includes(byStatus)) conditions.push(byStatus);
  return { retryOn: conditions.join(','), retriableStatusCodes };
}

function durationField<K extends string>(name: K, text: string | undefined) {
  return (text === undefined ? {} : { [name]: durationOf(parseDurationMs(text)!) }) as Partial<
    Record<K, ReturnType<typeof durationOf>>
  >;
}
