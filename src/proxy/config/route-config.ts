// Reads retries and copies of a route from Envoy's messages; what this proxy cannot do is refused by name.
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import {
  FractionalPercent_DenominatorType as Denominator,
  PreviousHostsPredicateSchema,
  PreviousPrioritiesConfigSchema,
  type FractionalPercent,
  type RetryPolicy,
  type RouteAction_RequestMirrorPolicy,
  type RuntimeFractionalPercent,
} from '../../xds/messages.js';
import { compileHeaderMatcher, UnsupportedConfig } from '../http/matchers.js';
import type { Headers } from '../http/message.js';
import { durationMs } from './duration.js';

/** When a request is tried again. */
export interface RetryConfig {
  /** Tries after the first at most. */
  readonly attempts: number;
  /** For one try until its response is complete; 0: none. */
  readonly perTryTimeoutMs: number;
  /** Envoy's conditions (x-envoy-retry-on and x-envoy-retry-grpc-on). */
  readonly retryOn: ReadonlySet<string>;
  /** For the condition `retriable-status-codes`. */
  readonly retriableStatusCodes: readonly number[];
  /** For the condition `retriable-headers`: whether one of them holds of the response's headers. */
  readonly retriableHeaders: readonly ((headers: Headers) => boolean)[];
  /** How often another endpoint is chosen where the chosen one was tried already; at least 1. */
  readonly hostSelectionAttempts: number;
  /** Whether endpoints that were tried already are avoided. */
  readonly avoidPreviousHosts: boolean;
  /** Pauses are random, up to this times 2^n - 1 before retry n. Envoy's default 25. */
  readonly backoffBaseMs: number;
  /** No pause is longer. Envoy's default ten times the base. */
  readonly backoffMaxMs: number;
}

/** Where copies of requests go. */
export interface MirrorConfig {
  readonly cluster: string;
  /** Share of requests that are copied, 0 to 1. */
  readonly fraction: number;
  /** What is appended to the host of a copy: `-shadow` or nothing. */
  readonly hostSuffix: string;
}

/** Undefined where nothing is ever tried again. @throws UnsupportedConfig */
export function readRetries(policy: RetryPolicy | undefined): RetryConfig | undefined {
  if (policy === undefined) return undefined;
  if (
    policy.perTryIdleTimeout !== undefined ||
    policy.retryOptionsPredicates.length > 0 ||
    policy.rateLimitedRetryBackOff !== undefined ||
    policy.retriableRequestHeaders.length > 0
  )
    throw new UnsupportedConfig('retries by idleness, by limits of rate or by headers of requests are not supported');
  const retryOn = new Set(policy.retryOn.split(',').map((part) => part.trim()));
  retryOn.delete('');
  const attempts = policy.numRetries ?? 1;
  if (retryOn.size === 0 || attempts === 0) return undefined;
  const backoffBaseMs = durationMs(policy.retryBackOff?.baseInterval) ?? 25;
  return {
    attempts,
    perTryTimeoutMs: durationMs(policy.perTryTimeout) ?? 0,
    retryOn,
    retriableStatusCodes: policy.retriableStatusCodes,
    retriableHeaders: policy.retriableHeaders.map((matcher) => {
      const matches = compileHeaderMatcher(matcher);
      return (headers) => matches({ method: '', path: '', authority: '', scheme: 'http', headers });
    }),
    hostSelectionAttempts: Math.max(1, Number(policy.hostSelectionRetryMaxAttempts)),
    avoidPreviousHosts: readsPreviousHosts(policy),
    backoffBaseMs,
    backoffMaxMs: durationMs(policy.retryBackOff?.maxInterval) ?? 10 * backoffBaseMs,
  };
}

function readsPreviousHosts({ retryHostPredicate, retryPriority }: RetryPolicy): boolean {
  // Endpoints of one priority make a choice of priorities empty.
  const priorities = retryPriority?.configType.value;
  if (
    retryPriority !== undefined &&
    (!priorities || anyUnpack(priorities, PreviousPrioritiesConfigSchema) === undefined)
  )
    throw new UnsupportedConfig(`retry priority ${retryPriority.name} is not supported`);
  for (const { name, configType } of retryHostPredicate)
    if (configType.value === undefined || anyUnpack(configType.value, PreviousHostsPredicateSchema) === undefined)
      throw new UnsupportedConfig(`retry predicate ${name} is not supported`);
  return retryHostPredicate.length > 0;
}

/** Policies that never copy are left out. @throws UnsupportedConfig */
export function readMirrors(policies: readonly RouteAction_RequestMirrorPolicy[]): MirrorConfig[] {
  return policies
    .map((policy) => {
      if (policy.cluster === '')
        throw new UnsupportedConfig('copies to a cluster that a header names are not supported');
      return {
        cluster: policy.cluster,
        fraction: readRuntimeFraction(policy.runtimeFraction, 1),
        hostSuffix: policy.disableShadowHostSuffixAppend ? '' : '-shadow',
      };
    })
    .filter(({ fraction }) => fraction > 0);
}

/** A share that Envoy's runtime could override: here it is always its default. */
export function readRuntimeFraction(fraction: RuntimeFractionalPercent | undefined, absent: number): number {
  return fraction === undefined ? absent : readFraction(fraction.defaultValue);
}

const denominators: Readonly<Record<Denominator, number>> = {
  [Denominator.HUNDRED]: 100,
  [Denominator.TEN_THOUSAND]: 10_000,
  [Denominator.MILLION]: 1_000_000,
};

/** 0 to 1; absent is 0, as in Envoy. */
export function readFraction(percent: FractionalPercent | undefined): number {
  return percent === undefined ? 0 : Math.min(1, percent.numerator / denominators[percent.denominator]);
}
