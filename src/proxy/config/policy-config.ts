// Reads RBAC filters from Envoy's messages: those before the last filter of a chain, which decide about connections, and those
// among the HTTP filters, which decide about requests.
import { clone } from '@bufbuild/protobuf';
import { anyIs, anyPack, anyUnpack } from '@bufbuild/protobuf/wkt';
import { Policies } from '../authorization/policies.js';
import { UnsupportedConfig } from '../http/matchers.js';
import {
  FilterChainSchema,
  HttpConnectionManagerSchema,
  HttpRbacSchema,
  NetworkRbacSchema,
  RBAC_EnforcementType,
  type FilterChain,
  type HttpConnectionManager,
  type RbacRules,
} from '../../xds/messages.js';

type NetworkFilterMessage = FilterChain['filters'][number];
type HttpFilterMessage = HttpConnectionManager['httpFilters'][number];

/** @throws UnsupportedConfig where there is a filter of another kind */
export function readNetworkPolicies(filters: readonly NetworkFilterMessage[]): Policies | undefined {
  const rules = filters.flatMap((filter) => {
    const config = configOf(filter);
    const rbac = config === undefined ? undefined : anyUnpack(config, NetworkRbacSchema);
    if (rbac === undefined) throw new UnsupportedConfig(`filter ${filter.name} is not supported before another one`);
    if (rbac.enforcementType !== RBAC_EnforcementType.ONE_TIME_ON_FIRST_BYTE)
      throw new UnsupportedConfig('RBAC that is enforced more than once a connection is not supported');
    return rulesOf(rbac);
  });
  return rules.length === 0 ? undefined : new Policies(rules);
}

/** Other HTTP filters are left to others. */
export function readHttpPolicies(filters: readonly HttpFilterMessage[]): Policies | undefined {
  const rules = filters.filter(isHttpPolicy).flatMap((filter) => {
    const rbac = anyUnpack(configOf(filter)!, HttpRbacSchema)!;
    if (rbac.trackPerRuleStats) throw new UnsupportedConfig('counts of single RBAC rules are not supported');
    return rulesOf(rbac);
  });
  return rules.length === 0 ? undefined : new Policies(rules);
}

export function isHttpPolicy(filter: HttpFilterMessage): boolean {
  const config = configOf(filter);
  return config !== undefined && anyIs(config, HttpRbacSchema);
}

/** The same chain without policies: while that stays the same, open connections can take new policies. */
export function withoutPolicies(chain: FilterChain): FilterChain {
  const copy = clone(FilterChainSchema, chain);
  copy.filters = copy.filters.slice(-1);
  const [last] = copy.filters;
  const config = last === undefined ? undefined : configOf(last);
  const manager = config === undefined ? undefined : anyUnpack(config, HttpConnectionManagerSchema);
  // Packed anew also where there are none, so that the first policy does not look like another chain.
  if (manager !== undefined) {
    manager.httpFilters = manager.httpFilters.filter((filter) => !isHttpPolicy(filter));
    last!.configType = { case: 'typedConfig', value: anyPack(HttpConnectionManagerSchema, manager) };
  }
  return copy;
}

function configOf({ configType }: NetworkFilterMessage | HttpFilterMessage) {
  return configType.case === 'typedConfig' ? configType.value : undefined;
}

/** The rules that are enforced; none where the filter has none. */
function rulesOf(rbac: {
  readonly rules?: RbacRules | undefined;
  readonly matcher?: unknown;
  readonly shadowRules?: unknown;
  readonly shadowMatcher?: unknown;
}): RbacRules[] {
  if (rbac.matcher !== undefined || rbac.shadowRules !== undefined || rbac.shadowMatcher !== undefined)
    throw new UnsupportedConfig('RBAC by matchers, and RBAC that only reports, are not supported');
  return rbac.rules === undefined ? [] : [rbac.rules];
}
