// Reads what a route adds to filters (faults, cross-origin rules) from Envoy's messages; what this proxy cannot do is refused.
import { anyUnpack, type Any } from '@bufbuild/protobuf/wkt';
import { CorsPolicySchema, HTTPFaultSchema, type CorsPolicy, type HTTPFault } from '../../xds/messages.js';
import { compileStringMatcher, UnsupportedConfig } from '../http/matchers.js';
import { durationMs } from './duration.js';
import { readFraction, readRuntimeFraction } from './route-config.js';

/** Faults that a route injects. */
export interface FaultConfig {
  /** How long requests are kept back; 0: not at all. */
  readonly delayMs: number;
  /** Share of requests that are, 0 to 1. */
  readonly delayFraction: number;
  /** Status that is answered instead of forwarding; undefined where gRPC's is given. */
  readonly abortStatus: number | undefined;
  readonly abortGrpcStatus: number | undefined;
  /** Share of requests that are, 0 to 1. */
  readonly abortFraction: number;
}

/** Cross-origin rules of a route. */
export interface CorsConfig {
  isAllowed(origin: string): boolean;
  /** Empty: not told; `*`: whatever was asked for. */
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  /** Seconds; empty: not told. */
  readonly maxAge: string;
  readonly allowCredentials: boolean;
  /** Whether preflights of other origins go on to the server. */
  readonly forwardsUnmatched: boolean;
}

export interface RouteFilters {
  readonly fault: FaultConfig | undefined;
  readonly cors: CorsConfig | undefined;
}

/** @throws UnsupportedConfig */
export function readRouteFilters(configs: Readonly<Record<string, Any>>): RouteFilters {
  let fault: FaultConfig | undefined;
  let cors: CorsConfig | undefined;
  for (const [name, config] of Object.entries(configs)) {
    const faultMessage = anyUnpack(config, HTTPFaultSchema);
    const corsMessage = anyUnpack(config, CorsPolicySchema);
    if (faultMessage !== undefined) fault = readFault(faultMessage);
    else if (corsMessage !== undefined) cors = readCors(corsMessage);
    else
      throw new UnsupportedConfig(`configuration of filter ${name} (${config.typeUrl}) for a route is not supported`);
  }
  return { fault, cors };
}

/** Undefined where nothing is injected. */
export function readFault(fault: HTTPFault): FaultConfig | undefined {
  if (
    fault.upstreamCluster !== '' ||
    fault.headers.length > 0 ||
    fault.downstreamNodes.length > 0 ||
    fault.maxActiveFaults !== undefined ||
    fault.responseRateLimit !== undefined
  )
    throw new UnsupportedConfig(
      'faults of some requests only, bounded in number or in the rate of answers are not supported',
    );
  const delay = fault.delay?.faultDelaySecifier;
  const error = fault.abort?.errorType;
  if ((delay !== undefined && delay.case !== 'fixedDelay') || error?.case === 'headerAbort')
    throw new UnsupportedConfig('faults that headers of the request ask for are not supported');
  const config: FaultConfig = {
    delayMs: durationMs(delay?.value) ?? 0,
    delayFraction: readFraction(fault.delay?.percentage),
    abortStatus: error?.case === 'httpStatus' ? error.value : undefined,
    abortGrpcStatus: error?.case === 'grpcStatus' ? error.value : undefined,
    abortFraction: readFraction(fault.abort?.percentage),
  };
  return (config.delayMs > 0 && config.delayFraction > 0) || config.abortFraction > 0 ? config : undefined;
}

/** Undefined where the rules are turned off. */
function readCors(policy: CorsPolicy): CorsConfig | undefined {
  const enabled = readRuntimeFraction(policy.filterEnabled, 1);
  if (enabled !== 0 && enabled !== 1)
    throw new UnsupportedConfig('cross-origin rules for a share of requests are not supported');
  if (policy.allowPrivateNetworkAccess === true)
    throw new UnsupportedConfig('cross-origin access to private networks is not supported');
  if (enabled === 0) return undefined;
  const origins = policy.allowOriginStringMatch.map(compileStringMatcher);
  const allowsAll = origins.some((matches) => matches('*'));
  return {
    isAllowed: (origin) => allowsAll || origins.some((matches) => matches(origin)),
    allowMethods: policy.allowMethods,
    allowHeaders: policy.allowHeaders,
    exposeHeaders: policy.exposeHeaders,
    maxAge: policy.maxAge,
    allowCredentials: policy.allowCredentials === true,
    forwardsUnmatched: policy.forwardNotMatchingPreflights !== false,
  };
}
