// Decides whether a connection or a request may pass: RBAC filters, compiled once when configuration arrives.
import { RBAC_Action, type RbacPolicy, type RbacRules } from '../../xds/messages.js';
import { UnsupportedConfig, type RoutedRequest } from '../http/matchers.js';
import type { ConnectionInfo } from '../listener/connection-info.js';
import { compilePermission } from './permissions.js';
import { compilePrincipal } from './principals.js';
import { allOf, anyOf, type Rule } from './rule.js';

/** Why something is denied; made with the policy, not with the request. */
export interface Denial {
  /** Name of the policy that matched, or `none`. */
  readonly policy: string;
  /** Envoy's response code details or connection termination details. */
  readonly details: string;
  /** Objects that decided, `AuthorizationPolicy/namespace/name`: the DENY policy, or the ALLOW policies of which none matched. */
  readonly objects: string;
}

interface CompiledPolicy {
  readonly holds: Rule;
  readonly denial: Denial;
}

/** The policies of one filter. */
interface PolicySet {
  readonly action: 'ALLOW' | 'DENY';
  readonly policies: readonly CompiledPolicy[];
  /** For ALLOW: what is said where none holds. */
  readonly otherwise: Denial;
}

/** The policies of a chain, filter by filter in their order. */
export class Policies {
  readonly #sets: readonly PolicySet[];

  /** @throws UnsupportedConfig */
  constructor(filters: readonly RbacRules[]) {
    this.#sets = filters.map(compileSet);
  }

  /** What denies the request, or the connection where there is none; undefined where it may pass. */
  findDenial(connection: ConnectionInfo, request: RoutedRequest | undefined): Denial | undefined {
    for (let i = 0; i < this.#sets.length; i++) {
      const { action, policies, otherwise } = this.#sets[i]!;
      let match: CompiledPolicy | undefined;
      for (let j = 0; j < policies.length && match === undefined; j++)
        if (policies[j]!.holds(connection, request)) match = policies[j];
      if (action === 'DENY') {
        if (match !== undefined) return match.denial;
      } else if (match === undefined) return otherwise;
    }
    return undefined;
  }
}

function compileSet(rules: RbacRules): PolicySet {
  if (rules.action === RBAC_Action.LOG) throw new UnsupportedConfig('RBAC with the action LOG is not supported');
  if (rules.auditLoggingOptions !== undefined) throw new UnsupportedConfig('audit loggers of RBAC are not supported');
  // Envoy's order: by name, so that of several policies that match the same one is named by every proxy.
  const names = Object.keys(rules.policies).sort();
  return {
    action: rules.action === RBAC_Action.DENY ? 'DENY' : 'ALLOW',
    policies: names.map((name) => ({
      holds: compilePolicy(rules.policies[name]!),
      denial: denialBy(name, objectOf(name) ?? ''),
    })),
    otherwise: denialBy('none', objectsOf(names)),
  };
}

function compilePolicy(policy: RbacPolicy): Rule {
  if (policy.condition !== undefined || policy.checkedCondition !== undefined)
    throw new UnsupportedConfig('expressions in RBAC policies are not supported');
  if (policy.permissions.length === 0 || policy.principals.length === 0)
    throw new UnsupportedConfig('an RBAC policy needs permissions and principals');
  return allOf([anyOf(policy.permissions.map(compilePermission)), anyOf(policy.principals.map(compilePrincipal))]);
}

function denialBy(name: string, objects: string): Denial {
  const policy = name.replace(/\s/g, '_'); // one word in a log line, as in Envoy
  return { policy, details: `rbac_access_denied_matched_policy[${policy}]`, objects };
}

/** The object behind a policy with a name of Istio's form, which is `ns[namespace]-policy[name]-rule[index]`. */
function objectOf(policy: string): string | undefined {
  const match = /^ns\[([-a-z0-9]+)\]-policy\[([-.a-z0-9]+)\]-rule\[\d+\]$/.exec(policy);
  return match === null ? undefined : `AuthorizationPolicy/${match[1]}/${match[2]}`;
}

/** A header can hold so many. */
const mostObjects = 8;

function objectsOf(policies: readonly string[]): string {
  const objects = [...new Set(policies.flatMap((name) => objectOf(name) ?? []))];
  return objects.length <= mostObjects ? objects.join(', ') : `${objects.slice(0, mostObjects).join(', ')}, ...`;
}
