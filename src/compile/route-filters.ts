// What a route adds to the filters that every request passes: faults and cross-origin rules.
import { parseDurationMs } from '../util/duration.js';
import { grpcCodes } from '../util/grpc-codes.js';
import type { CorsPolicy } from '../api/cors-policy.js';
import type { HttpFault } from '../api/http-fault.js';
import type { HttpRouteRule } from '../api/virtual-service.js';
import { CorsPolicySchema, CorsSchema, HTTPFaultSchema } from '../xds/messages.js';
import { durationOf, typed } from './messages.js';
import { fractionOf, wholeFractionOf } from './percents.js';
import { pattern } from './string-matches.js';

export const faultFilterName = 'envoy.filters.http.fault';
export const corsFilterName = 'envoy.filters.http.cors';

/** The filters of every HTTP listener that read what routes add; without an addition they do nothing. */
export const routeFilters = [
  { name: faultFilterName, configType: { case: 'typedConfig' as const, value: typed(HTTPFaultSchema, {}) } },
  { name: corsFilterName, configType: { case: 'typedConfig' as const, value: typed(CorsSchema, {}) } },
];

/** What a rule's route carries for them. */
export function compileRouteFilters({ fault, corsPolicy }: HttpRouteRule) {
  return {
    ...(fault === undefined ? {} : { [faultFilterName]: compileFault(fault) }),
    ...(corsPolicy === undefined ? {} : { [corsFilterName]: compileCors(corsPolicy) }),
  };
}

function compileFault({ delay, abort }: HttpFault) {
  return typed(HTTPFaultSchema, {
    ...(delay === undefined
      ? {}
      : {
          delay: {
            faultDelaySecifier: { case: 'fixedDelay', value: durationOf(parseDurationMs(delay.fixedDelay)!) },
            percentage:
              delay.percentage === undefined
                ? wholeFractionOf(delay.percent ?? 0)
                : fractionOf(delay.percentage.value ?? 0),
          },
        }),
    ...(abort === undefined
      ? {}
      : {
          abort: {
            errorType:
              abort.httpStatus === undefined
                ? { case: 'grpcStatus', value: grpcCodes[abort.grpcStatus!] }
                : { case: 'httpStatus', value: abort.httpStatus },
            ...(abort.percentage === undefined ? {} : { percentage: fractionOf(abort.percentage.value ?? 0) }),
          },
        }),
  });
}

function compileCors(policy: CorsPolicy) {
  const origins = policy.allowOrigins?.map(pattern) ?? policy.allowOrigin?.map((value) => pattern({ exact: value }));
  return typed(CorsPolicySchema, {
    allowOriginStringMatch: (origins ?? []).map((matchPattern) => ({ matchPattern })),
    allowMethods: (policy.allowMethods ?? []).join(','),
    allowHeaders: (policy.allowHeaders ?? []).join(','),
    exposeHeaders: (policy.exposeHeaders ?? []).join(','),
    maxAge: policy.maxAge === undefined ? '' : String(parseDurationMs(policy.maxAge)! / 1000),
    ...(policy.allowCredentials === undefined ? {} : { allowCredentials: policy.allowCredentials }),
    filterEnabled: { defaultValue: wholeFractionOf(100) },
    forwardNotMatchingPreflights: policy.unmatchedPreflights !== 'IGNORE',
  });
}
