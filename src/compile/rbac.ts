// One rule of an AuthorizationPolicy in Envoy's terms: permissions for what is asked (`to`), principals for who asks (`from`),
// and the conditions (`when`) on whichever side they belong to.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { AuthorizationOperation, AuthorizationRule, AuthorizationSource } from '../api/authorization-policy.js';
import type { WorkloadPort } from '../model/workload.js';
import {
  UriTemplateMatchConfigSchema,
  type PermissionSchema,
  type PrincipalSchema,
  type RbacPolicySchema,
} from '../xds/messages.js';
import { typed } from './messages.js';
import {
  headerMatcher,
  hostMatchers,
  isPathTemplate,
  namespaceMatcher,
  pathTemplateOf,
  principalMatcher,
  rangeOf,
  serviceAccountMatcher,
  textMatcher,
  type StringMatcherInit,
} from './rbac-matchers.js';

type PermissionInit = Exclude<MessageInitShape<typeof PermissionSchema>, { $typeName: string }>;
type PrincipalInit = Exclude<MessageInitShape<typeof PrincipalSchema>, { $typeName: string }>;
type PolicyInit = Exclude<MessageInitShape<typeof RbacPolicySchema>, { $typeName: string }>;

/** What a rule is compiled for. */
export interface RuleScope {
  readonly action: 'ALLOW' | 'DENY';
  /** For a chain that carries bytes. */
  readonly forTcp: boolean;
  readonly place: WorkloadPort;
  readonly trustDomain: string;
  /** Namespace of the policy. */
  readonly namespace: string;
}

/** One field of a rule: values of which one must match, and values of which none may. */
interface Field<T> {
  readonly values: readonly string[] | undefined;
  readonly notValues: readonly string[] | undefined;
  /** Whether only requests have it. */
  readonly isHttp?: boolean;
  /** What matches the value; nothing where nothing can. */
  compile(value: string): readonly T[];
}

/** How permissions and principals are combined: alike, under other names. */
interface Algebra<T> {
  readonly any: T;
  and(parts: readonly T[]): T;
  or(parts: readonly T[]): T;
  not(part: T): T;
}

const permissionAlgebra: Algebra<PermissionInit> = {
  any: { rule: { case: 'any', value: true } },
  and: (rules) => ({ rule: { case: 'andRules', value: { rules: [...rules] } } }),
  or: (rules) => ({ rule: { case: 'orRules', value: { rules: [...rules] } } }),
  not: (rule) => ({ rule: { case: 'notRule', value: rule } }),
};
const principalAlgebra: Algebra<PrincipalInit> = {
  any: { identifier: { case: 'any', value: true } },
  and: (ids) => ({ identifier: { case: 'andIds', value: { ids: [...ids] } } }),
  or: (ids) => ({ identifier: { case: 'orIds', value: { ids: [...ids] } } }),
  not: (id) => ({ identifier: { case: 'notId', value: id } }),
};

/** The policy of an object without rules. */
export const neverMatches: PolicyInit = {
  permissions: [permissionAlgebra.not(permissionAlgebra.any)],
  principals: [principalAlgebra.not(principalAlgebra.any)],
};

/**
 * The rule as a policy. For bytes, a DENY rule loses what it names of HTTP and so denies more; an ALLOW rule that names
 * anything of HTTP is left out (undefined) and so allows less.
 */
export function compileRule(rule: AuthorizationRule, scope: RuleScope): PolicyInit | undefined {
  const conditions = (rule.when ?? []).map((condition) => conditionField(condition, scope));
  const operations = rule.to?.map(({ operation }) => operationFields(operation, scope)) ?? [[]];
  const sources = rule.from?.map(({ source }) => sourceFields(source, scope)) ?? [[]];
  const what = operations.map((fields) => [...fields, ...conditions.flatMap(({ permission }) => permission ?? [])]);
  const who = sources.map((fields) => [...fields, ...conditions.flatMap(({ principal }) => principal ?? [])]);
  const usesHttp = [...what, ...who].flat().some((field) => field.isHttp === true && says(field));
  if (scope.forTcp && scope.action === 'ALLOW' && usesHttp) return undefined;
  return {
    permissions: what.map((fields) => combine(fields, permissionAlgebra, scope)),
    principals: who.map((fields) => combine(fields, principalAlgebra, scope)),
  };
}

function says({ values = [], notValues = [] }: Field<unknown>): boolean {
  return values.length + notValues.length > 0;
}

function combine<T>(fields: readonly Field<T>[], { any, and, or, not }: Algebra<T>, { forTcp }: RuleScope): T {
  const parts: T[] = [];
  for (const field of fields) {
    if (forTcp && field.isHttp === true) continue;
    const { values = [], notValues = [] } = field;
    const wanted = values.flatMap((value) => field.compile(value));
    if (values.length > 0) parts.push(wanted.length === 0 ? not(any) : or(wanted));
    const unwanted = notValues.flatMap((value) => field.compile(value));
    if (unwanted.length > 0) parts.push(not(or(unwanted)));
  }
  return and(parts.length === 0 ? [any] : parts);
}

function operationFields(operation: AuthorizationOperation, scope: RuleScope): Field<PermissionInit>[] {
  return [
    {
      values: operation.hosts,
      notValues: operation.notHosts,
      isHttp: true,
      compile: (value) => hostMatchers(value).map((matcher) => ({ rule: { case: 'header', value: matcher } })),
    },
    {
      values: operation.methods,
      notValues: operation.notMethods,
      isHttp: true,
      compile: (value) => [{ rule: { case: 'header', value: headerMatcher(':method', value) } }],
    },
    {
      values: operation.paths,
      notValues: operation.notPaths,
      isHttp: true,
      compile: (value) => [pathPermission(value)],
    },
    {
      values: operation.ports,
      notValues: operation.notPorts,
      compile: (value) => portPermissions(value, scope),
    },
  ];
}

function pathPermission(path: string): PermissionInit {
  if (!isPathTemplate(path))
    return { rule: { case: 'urlPath', value: { rule: { case: 'path', value: textMatcher(path) } } } };
  const typedConfig = typed(UriTemplateMatchConfigSchema, { pathTemplate: pathTemplateOf(path) });
  return { rule: { case: 'uriTemplate', value: { name: 'uri-template', typedConfig } } };
}

/**
 * Policies name ports of the workload, Envoy knows the port at which the connection arrived: without redirection these differ.
 * Of a listener for one port it is known beforehand which of the ports in a policy it is.
 */
function portPermissions(port: string, { place }: RuleScope): PermissionInit[] {
  return Number(port) === place.port ? [{ rule: { case: 'destinationPort', value: place.inbound.port } }] : [];
}

function sourceFields(source: AuthorizationSource, scope: RuleScope): Field<PrincipalInit>[] {
  return [
    principalField(source.principals, source.notPrincipals, (value) => principalMatcher(value, scope.trustDomain)),
    principalField(source.namespaces, source.notNamespaces, namespaceMatcher),
    principalField(source.serviceAccounts, source.notServiceAccounts, (value) =>
      serviceAccountMatcher(value, scope.namespace),
    ),
    addressField(source.ipBlocks, source.notIpBlocks, 'directRemoteIp'),
    addressField(source.remoteIpBlocks, source.notRemoteIpBlocks, 'remoteIp'),
  ];
}

function principalField(
  values: Field<PrincipalInit>['values'],
  notValues: Field<PrincipalInit>['values'],
  matcherOf: (value: string) => StringMatcherInit,
): Field<PrincipalInit> {
  return {
    values,
    notValues,
    compile: (value) => [{ identifier: { case: 'authenticated', value: { principalName: matcherOf(value) } } }],
  };
}

/** @param which the peer of the connection, or whom Envoy takes for the first caller */
function addressField(
  values: Field<PrincipalInit>['values'],
  notValues: Field<PrincipalInit>['values'],
  which: 'directRemoteIp' | 'remoteIp',
): Field<PrincipalInit> {
  return {
    values,
    notValues,
    compile: (value) => [{ identifier: { case: which, value: rangeOf(value) } }],
  };
}

/** A condition is about what is asked or about who asks. */
function conditionField(
  { key, values, notValues }: NonNullable<AuthorizationRule['when']>[number],
  scope: RuleScope,
): { readonly permission?: Field<PermissionInit>; readonly principal?: Field<PrincipalInit> } {
  const permission = (compile: Field<PermissionInit>['compile']) => ({ permission: { values, notValues, compile } });
  switch (key) {
    case 'source.ip':
      return { principal: addressField(values, notValues, 'directRemoteIp') };
    case 'remote.ip':
      return { principal: addressField(values, notValues, 'remoteIp') };
    case 'source.namespace':
      return { principal: principalField(values, notValues, namespaceMatcher) };
    case 'source.principal':
      return { principal: principalField(values, notValues, (value) => principalMatcher(value, scope.trustDomain)) };
    case 'source.serviceAccount':
      return { principal: principalField(values, notValues, (value) => serviceAccountMatcher(value, scope.namespace)) };
    case 'destination.ip':
      return permission((value) => [{ rule: { case: 'destinationIp', value: rangeOf(value) } }]);
    case 'destination.port':
      return permission((value) => portPermissions(value, scope));
    case 'connection.sni':
      return permission((value) => [{ rule: { case: 'requestedServerName', value: textMatcher(value) } }]);
    default: {
      const name = /^request\.headers\[(.*)\]$/.exec(key)![1]!; // the schema takes nothing else
      const compile = (value: string): PrincipalInit[] => [
        { identifier: { case: 'header', value: headerMatcher(name, value) } },
      ];
      return { principal: { values, notValues, isHttp: true, compile } };
    }
  }
}
