// Which AuthorizationPolicies hold for a workload, and the filters by which its proxy keeps to them.
import { create } from '@bufbuild/protobuf';
import type { AuthorizationPolicy } from '../api/kinds.js';
import type { Snapshot } from '../model/snapshot.js';
import { matchesLabels, type Workload, type WorkloadPort } from '../model/workload.js';
import {
  HttpRbacSchema,
  NetworkRbacSchema,
  RBAC_Action,
  RbacPolicySchema,
  RbacRulesSchema,
  type RbacPolicy,
  type RbacRules,
} from '../xds/messages.js';
import { typed } from './messages.js';
import { compileRule, neverMatches, type RuleScope } from './rbac.js';

/**
 * Those of the workload's namespace and of the root namespace whose selector matches, the oldest first. A selector in the root
 * namespace selects workloads of all namespaces, as in Istio (and other than for PeerAuthentication).
 */
export function policiesFor(snapshot: Snapshot, workload: Workload): AuthorizationPolicy[] {
  const { rootNamespace } = snapshot.meshConfig;
  return snapshot.authorizationPolicies.filter(
    ({ namespace, spec }) =>
      (namespace === workload.namespace || namespace === rootNamespace) &&
      matchesLabels(workload.labels, spec.selector?.matchLabels ?? {}),
  );
}

/** What stands before the last filter of the chains of one port: Istio's order, DENY before ALLOW. */
export interface PolicyFilters {
  /** Among the HTTP filters, before the router. */
  readonly http: readonly ReturnType<typeof httpFilter>[];
  /** Before the TCP proxy. */
  readonly network: readonly ReturnType<typeof networkFilter>[];
}

export function compilePolicyFilters(snapshot: Snapshot, workload: Workload, place: WorkloadPort): PolicyFilters {
  const policies = policiesFor(snapshot, workload);
  const { trustDomain } = snapshot.meshConfig;
  const rulesFor = (forTcp: boolean) =>
    (['DENY', 'ALLOW'] as const).flatMap((action) => {
      const chosen = policies.filter(({ spec }) => (spec.action ?? 'ALLOW') === action);
      return chosen.length === 0 ? [] : [compileRules(chosen, { action, forTcp, place, trustDomain })];
    });
  return { http: rulesFor(false).map(httpFilter), network: rulesFor(true).map(networkFilter) };
}

type Scope = Omit<RuleScope, 'namespace'>;

function compileRules(policies: readonly AuthorizationPolicy[], scope: Scope): RbacRules {
  const compiled: Record<string, RbacPolicy> = {};
  for (const { namespace, name, spec } of policies) {
    const rules = spec.rules ?? [];
    const nameOf = (i: number) => `ns[${namespace}]-policy[${name}]-rule[${i}]`;
    if (rules.length === 0) compiled[nameOf(0)] = create(RbacPolicySchema, neverMatches);
    for (const [i, rule] of rules.entries()) {
      const policy = compileRule(rule, { ...scope, namespace });
      if (policy !== undefined) compiled[nameOf(i)] = create(RbacPolicySchema, policy);
    }
  }
  return create(RbacRulesSchema, {
    action: scope.action === 'DENY' ? RBAC_Action.DENY : RBAC_Action.ALLOW,
    policies: compiled,
  });
}

function httpFilter(rules: RbacRules) {
  return {
    name: 'envoy.filters.http.rbac',
    configType: { case: 'typedConfig' as const, value: typed(HttpRbacSchema, { rules }) },
  };
}

function networkFilter(rules: RbacRules) {
  return {
    name: 'envoy.filters.network.rbac',
    configType: { case: 'typedConfig' as const, value: typed(NetworkRbacSchema, { rules, statPrefix: 'tcp.' }) },
  };
}
