// Which DestinationRule holds for a host as a client sees it, in Istio's order of namespaces.
import type { DestinationRuleSpec, SubsetSpec, TrafficPolicy } from '../api/destination-rule.js';
import type { DestinationRule } from '../api/kinds.js';
import type { MeshConfig } from '../api/mesh-config.js';
import { compareSpecificity, hostMatches, resolveHost } from '../model/host.js';
import type { Snapshot } from '../model/snapshot.js';
import type { Service } from '../model/service.js';
import { isVisibleIn } from '../model/visibility.js';
import { memoize } from '../util/memoize.js';

/** The rules of one host taken together. */
export interface EffectiveRule {
  readonly policy: TrafficPolicy | undefined;
  readonly subsets: readonly SubsetSpec[];
  /** The rules that it was made of, the oldest first. */
  readonly sources: readonly DestinationRule[];
}

const noRule: EffectiveRule = { policy: undefined, subsets: [], sources: [] };

/**
 * Looks in the client's namespace, then the service's, then the root namespace; the first that has any rule for the host
 * decides alone. Within it the most specific host counts; several rules for that host add their subsets, the oldest gives
 * the policy and wins equal names.
 */
export function effectiveDestinationRule(snapshot: Snapshot, service: Service, clientNamespace: string): EffectiveRule {
  return lookUp(snapshot.destinationRules, snapshot.meshConfig.rootNamespace, service, clientNamespace);
}

const lookUp = memoize(
  (rules: readonly DestinationRule[], root: string, service: Service, clientNamespace: string): EffectiveRule => {
    for (const namespace of new Set([clientNamespace, service.namespace, root])) {
      const candidates = rules.filter(
        (rule) =>
          rule.namespace === namespace &&
          isVisibleIn(clientNamespace, rule.namespace, rule.spec.exportTo) &&
          hostMatches(resolveHost(rule.spec.host, rule.namespace), service.host),
      );
      if (candidates.length > 0) return merge(mostSpecific(candidates));
    }
    return noRule;
  },
);

/** What decides for one port of a host or of a subset. */
export type PortPolicy = Omit<TrafficPolicy, 'portLevelSettings'>;

/**
 * The policy of a subset at a port: the subset's own blocks, and the host's for those that it does not have. Where either
 * has settings for the port, those replace its pool, outlier detection, balancer and TLS together, as in Istio: what they
 * leave out has its default. What nobody says, MeshConfig says.
 */
export function policyOf(
  rule: EffectiveRule,
  subset: SubsetSpec | undefined,
  port: number,
  defaults: MeshConfig['defaultTrafficPolicy'],
): PortPolicy {
  const policy = override(override({}, rule.policy, port), subset?.trafficPolicy, port);
  return {
    ...policy,
    connectionPool: policy.connectionPool ?? defaults?.connectionPool,
    outlierDetection: policy.outlierDetection ?? defaults?.outlierDetection,
  };
}

function override(below: PortPolicy, policy: TrafficPolicy | undefined, port: number): PortPolicy {
  if (policy === undefined) return below;
  const { portLevelSettings, ...blocks } = policy;
  const ofPort = portLevelSettings?.find((setting) => setting.port.number === port);
  return {
    ...below,
    ...blocks,
    ...(ofPort === undefined
      ? {}
      : {
          connectionPool: ofPort.connectionPool,
          outlierDetection: ofPort.outlierDetection,
          loadBalancer: ofPort.loadBalancer,
          tls: ofPort.tls,
        }),
  };
}

/** What a service's rule says of connections from its workloads' own proxies to their applications. */
export function inboundPolicy(
  snapshot: Snapshot,
  service: Service,
  port: number,
): Pick<PortPolicy, 'connectionPool' | 'retryBudget'> & { readonly source: DestinationRule | undefined } {
  const rule = effectiveDestinationRule(snapshot, service, service.namespace);
  const { connectionPool, retryBudget } = policyOf(rule, undefined, port, undefined);
  return { connectionPool, retryBudget, source: connectionPool && findSource(rule, undefined) };
}

/** The rule from which a subset comes; without one that which gives the policy, or else the oldest. */
export function findSource(rule: EffectiveRule, subset: SubsetSpec | undefined): DestinationRule | undefined {
  if (subset !== undefined) return rule.sources.find(({ spec }) => spec.subsets?.includes(subset));
  return rule.sources.find(({ spec }) => spec.trafficPolicy !== undefined) ?? rule.sources[0];
}

function mostSpecific(rules: readonly DestinationRule[]): DestinationRule[] {
  const hostOf = (rule: DestinationRule) => resolveHost(rule.spec.host, rule.namespace);
  const [best] = rules.map(hostOf).sort(compareSpecificity);
  return rules.filter((rule) => hostOf(rule) === best);
}

function merge(rules: readonly DestinationRule[]): EffectiveRule {
  const subsets = new Map<string, SubsetSpec>();
  for (const rule of rules)
    for (const subset of rule.spec.subsets ?? []) if (!subsets.has(subset.name)) subsets.set(subset.name, subset);
  const specs: readonly DestinationRuleSpec[] = rules.map((rule) => rule.spec);
  return {
    policy: specs.find((spec) => spec.trafficPolicy !== undefined)?.trafficPolicy,
    subsets: [...subsets.values()],
    sources: rules,
  };
}
