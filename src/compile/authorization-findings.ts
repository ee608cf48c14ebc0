// AuthorizationPolicies that are valid and do not protect, or protect other than their author thinks.
import type { AuthorizationRule } from '../api/authorization-policy.js';
import type { Diagnostic, DiagnosticCode } from '../api/diagnostic.js';
import type { AuthorizationPolicy } from '../api/kinds.js';
import { objectKey } from '../api/object.js';
import type { Snapshot } from '../model/snapshot.js';
import type { Workload } from '../model/workload.js';
import { policiesFor } from './authorization-policies.js';
import { effectiveMode } from './peer-authentication.js';
import { localPrincipal } from './rbac-matchers.js';

export function findPolicyProblems(snapshot: Snapshot): Diagnostic[] {
  const selected = new Map<AuthorizationPolicy, Workload[]>(
    snapshot.authorizationPolicies.map((policy) => [policy, []]),
  );
  for (const workload of snapshot.workloads.values())
    for (const policy of policiesFor(snapshot, workload)) selected.get(policy)!.push(workload);
  return [...selected].flatMap(([policy, workloads]) => [
    ...findIdleSelector(policy, workloads),
    ...findEmptyDeny(policy),
    ...findStrangers(snapshot, policy),
    ...findAvoidablePaths(snapshot, policy),
    ...findUnprovedCallers(snapshot, policy, workloads),
    ...findHttpOnBytes(snapshot, policy, workloads),
  ]);
}

function findIdleSelector(policy: AuthorizationPolicy, workloads: readonly Workload[]): Diagnostic[] {
  const labels = Object.entries(policy.spec.selector?.matchLabels ?? {});
  if (labels.length === 0 || workloads.length > 0) return [];
  const text = labels.map((pair) => pair.join('=')).join(', ');
  return [warn('IST0127', policy, 'spec.selector', `no workload has these labels (${text}), so it has no effect`)];
}

function findEmptyDeny(policy: AuthorizationPolicy): Diagnostic[] {
  if (!isDeny(policy) || (policy.spec.rules ?? []).length > 0) return [];
  const message =
    'a DENY policy without rules matches nothing and so has no effect; to deny everything write `rules: [{}]`';
  return [warn('LAT0007', policy, 'spec.rules', message)];
}

/** Identities that nobody can have: of another trust domain, or of another form. */
function findStrangers(snapshot: Snapshot, policy: AuthorizationPolicy): Diagnostic[] {
  const { trustDomain } = snapshot.meshConfig;
  return rulesOf(policy).flatMap(([rule, path]) =>
    principalsOf(rule).flatMap(([principal, where]) => {
      const full = localPrincipal(principal, trustDomain);
      const [domain = '', ...rest] = full.split('/');
      const isOpen = full.startsWith('*') || (full.endsWith('*') && `${trustDomain}/ns/`.startsWith(full.slice(0, -1)));
      if (isOpen || (domain === trustDomain && (rest.length === 4 || full.endsWith('*')))) return [];
      const form = `${trustDomain}/ns/<namespace>/sa/<service account>`;
      const message = `no caller can have the identity ${principal}: in this mesh they have the form ${form}`;
      return [warn('LAT0007', policy, `${path}.${where}`, message)];
    }),
  );
}

/** Paths of DENY rules that an application may read in what the rule does not. */
function findAvoidablePaths(snapshot: Snapshot, policy: AuthorizationPolicy): Diagnostic[] {
  const mode = snapshot.meshConfig.pathNormalization.normalization;
  if (!isDeny(policy) || mode === 'DECODE_AND_MERGE_SLASHES') return [];
  const kept = {
    NONE: 'dots, `//` and escapes stay in paths as they come',
    MERGE_SLASHES: 'escaped slashes (%2F, %5C) stay in paths as they come',
    BASE: '`//` and escaped slashes (%2F, %5C) stay in paths as they come',
    DEFAULT: '`//` and escaped slashes (%2F, %5C) stay in paths as they come',
  }[mode];
  return rulesOf(policy).flatMap(([rule, path]) =>
    (rule.to ?? []).flatMap(({ operation }, i) =>
      (['paths', 'notPaths'] as const).flatMap((name) => {
        const j = (operation[name] ?? []).findIndex((value) => isAvoidable(value, name === 'notPaths'));
        if (j < 0) return [];
        const message = `may be avoided: with meshConfig.pathNormalization ${mode} ${kept}, so that an application which reads them as others sees ${operation[name]![j]!} where this rule does not; set DECODE_AND_MERGE_SLASHES, or allow paths instead of denying them`;
        return [warn('LAT0020', policy, `${path}.to[${i}].operation.${name}[${j}]`, message)];
      }),
    ),
  );
}

/** An exception counts only where it is open: what has exactly that path is what it was made for. */
function isAvoidable(path: string, isException: boolean): boolean {
  return path.replace(/^\/(?=\*?$)/, '').includes('/') && (!isException || path.includes('*'));
}

/** Who comes without a certificate has no identity, so no DENY by identity holds for him. */
function findUnprovedCallers(
  snapshot: Snapshot,
  policy: AuthorizationPolicy,
  workloads: readonly Workload[],
): Diagnostic[] {
  if (!isDeny(policy)) return [];
  const open = workloads.find((workload) =>
    workload.ports.some(({ port }) => effectiveMode(snapshot, workload, port).mode !== 'STRICT'),
  );
  if (open === undefined) return [];
  return rulesOf(policy).flatMap(([rule, path]) => {
    const names = ['principals', 'namespaces', 'serviceAccounts'] as const;
    const i = (rule.from ?? []).findIndex(({ source }) => names.some((name) => (source[name] ?? []).length > 0));
    if (i < 0) return [];
    const message = `may be avoided: ${open.name} takes plaintext, and a caller without a certificate has no identity that could be denied; make it STRICT by a PeerAuthentication`;
    return [warn('LAT0020', policy, `${path}.from[${i}].source`, message)];
  });
}

/** On ports that carry bytes nothing of HTTP is seen: DENY rules are wider there, ALLOW rules are left out. */
function findHttpOnBytes(
  snapshot: Snapshot,
  policy: AuthorizationPolicy,
  workloads: readonly Workload[],
): Diagnostic[] {
  return rulesOf(policy).flatMap(([rule, path]) => {
    if (!usesHttp(rule)) return [];
    const place = findBytesPort(snapshot, workloads, rule);
    if (place === undefined) return [];
    const effect = isDeny(policy)
      ? 'there the rule holds without what it names of HTTP and denies more'
      : 'there the rule is left out and allows nothing';
    const message = `names hosts, methods, paths or headers, and port ${place.port} of ${place.workload.name} carries bytes: ${effect}; name the ports that it is for`;
    return [warn('LAT0020', policy, path, message)];
  });
}

function findBytesPort(snapshot: Snapshot, workloads: readonly Workload[], rule: AuthorizationRule) {
  const named = (rule.to ?? []).flatMap(({ operation }) => operation.ports ?? []);
  for (const workload of workloads)
    for (const { port } of workload.ports) {
      const service = snapshot.services.byHost.get(workload.serviceHost);
      const protocol = service?.ports.find((candidate) => candidate.port === port)?.protocol;
      const carriesHttp = protocol === 'http' || protocol === 'detect';
      if (!carriesHttp && (named.length === 0 || named.includes(String(port)))) return { workload, port };
    }
  return undefined;
}

function usesHttp({ to = [], when = [] }: AuthorizationRule): boolean {
  const names = ['hosts', 'notHosts', 'methods', 'notMethods', 'paths', 'notPaths'] as const;
  return (
    to.some(({ operation }) => names.some((name) => (operation[name] ?? []).length > 0)) ||
    when.some(({ key }) => key.startsWith('request.'))
  );
}

function principalsOf({ from = [], when = [] }: AuthorizationRule): [principal: string, path: string][] {
  const all: [string, string][] = [];
  for (const [i, { source }] of from.entries())
    for (const name of ['principals', 'notPrincipals'] as const)
      for (const [j, value] of (source[name] ?? []).entries()) all.push([value, `from[${i}].source.${name}[${j}]`]);
  for (const [i, condition] of when.entries())
    if (condition.key === 'source.principal')
      for (const name of ['values', 'notValues'] as const)
        for (const [j, value] of (condition[name] ?? []).entries()) all.push([value, `when[${i}].${name}[${j}]`]);
  return all;
}

function rulesOf({ spec }: AuthorizationPolicy): [AuthorizationRule, path: string][] {
  return (spec.rules ?? []).map((rule, i) => [rule, `spec.rules[${i}]`]);
}

function isDeny({ spec }: AuthorizationPolicy): boolean {
  return spec.action === 'DENY';
}

function warn(code: DiagnosticCode, policy: AuthorizationPolicy, path: string, message: string): Diagnostic {
  return { severity: 'warning', code, object: objectKey(policy), ...policy.origin, path, message };
}
