// AuthorizationPolicy (security.istio.io): who may call a workload, and how. A request that some DENY policy matches is denied;
// else, where there are ALLOW policies, one that none of them matches.
import { isIP } from 'node:net';
import { describe, headerOperationName, labels, nonEmptyText, record, refused, unsupported, z } from './schema.js';

const jwt = 'it needs RequestAuthentication, which comes later';

/** `x`, `x*`, `*x` or `*`: what Istio takes a `*` elsewhere for is that very character, which nobody means. */
const pattern = nonEmptyText.refine((value) => !value.slice(1, -1).includes('*') && !/^\*.*\*$/.test(value), {
  message: 'may have `*` at its beginning or at its end only',
});
const namespacePattern = z
  .string()
  .regex(/^[-a-z0-9*]+$/, 'must be a namespace, in which `*` stands for any characters');
const address = nonEmptyText.refine(isAddressOrRange, {
  message: 'must be an IP address or a range such as 10.1.0.0/16',
});
const port = z.string().refine((value) => /^\d{1,5}$/.test(value) && Number(value) <= 65535, {
  message: 'must be a port, such as "8080"',
});
const serviceAccount = z
  .string()
  .max(320, 'must be at most 320 characters')
  .regex(/^([-a-z0-9]+\/)?[A-Za-z0-9._-]+$/, 'must be a service account, or a namespace, `/` and a service account');
const serviceAccounts = z.array(serviceAccount).max(16, 'must be at most 16');

/** Segments may be `{*}` (one segment) or, as the last of these, `{**}` (any number of segments); else no braces. */
const pathPattern = nonEmptyText.superRefine((value, context) => {
  const complain = (message: string) => context.addIssue({ code: 'custom', message });
  const isTemplate = value.includes('{*}') || value.includes('{**}');
  const segments = value.replace(/^\/+|\/+$/g, '').split('/');
  const operators = segments.filter((segment) => segment === '{*}' || segment === '{**}');
  if (operators.slice(0, -1).includes('{**}')) return complain('may have {**} only as the last of its {*} and {**}');
  const others = segments.filter((segment) => segment !== '{*}' && segment !== '{**}');
  if (others.some((segment) => /[{}]/.test(segment)))
    return complain('may have braces only around * or **, as whole segments: {*} or {**}');
  if (isTemplate) {
    if (others.some((segment) => !/^[a-zA-Z0-9\-._~%!$&'()+,;:@=]*$/.test(segment)))
      complain('has characters beside {*} and {**} that no path has unescaped');
  } else if (value.slice(1, -1).includes('*') || /^\*.*\*$/.test(value))
    complain('may have `*` at its beginning or at its end only; {*} stands for one segment, {**} for any number');
});

const source = record({
  principals: describe(
    z.array(pattern).optional(),
    'Identities, written `cluster.local/ns/<namespace>/sa/<service account>`; `x*`, `*x`, and `*` for every caller with a certificate.',
  ),
  notPrincipals: describe(z.array(pattern).optional(), 'Identities that the caller must not have.'),
  namespaces: describe(
    z.array(namespacePattern).optional(),
    'Namespaces of the caller; `*` stands for any characters.',
  ),
  notNamespaces: describe(z.array(namespacePattern).optional(), 'Namespaces that the caller must not be of.'),
  serviceAccounts: describe(
    serviceAccounts.optional(),
    "Service accounts of the caller, `<namespace>/<name>`, or `<name>` in the policy's own namespace; not together with principals or namespaces.",
  ),
  notServiceAccounts: describe(serviceAccounts.optional(), 'Service accounts that the caller must not have.'),
  ipBlocks: describe(z.array(address).optional(), 'Addresses or ranges of the peer of the connection.'),
  notIpBlocks: describe(z.array(address).optional(), 'Addresses or ranges that the peer must not have.'),
  remoteIpBlocks: describe(
    z.array(address).optional(),
    'Addresses or ranges of the first caller. No proxy in front is trusted to tell it (numTrustedProxies is 0), so that is the peer of the connection, whatever X-Forwarded-For says.',
  ),
  notRemoteIpBlocks: describe(z.array(address).optional(), 'Addresses or ranges that the first caller must not have.'),
  requestPrincipals: refused('Identities of tokens.', jwt),
  notRequestPrincipals: refused('Identities that no token may have.', jwt),
  trustDomains: refused('Trust domains of the caller.', 'only one trust domain is taken; use principals'),
  notTrustDomains: refused('Trust domains that the caller must not be of.', 'only one trust domain is taken'),
}).superRefine((value, context) => {
  if (hasNothing(value))
    context.addIssue({ code: 'custom', message: 'says nothing; leave `from` out to mean every caller' });
  const accounts = [...(value.serviceAccounts ?? []), ...(value.notServiceAccounts ?? [])];
  const names = ['principals', 'notPrincipals', 'namespaces', 'notNamespaces'] as const;
  if (accounts.length > 0 && names.some((name) => (value[name] ?? []).length > 0))
    context.addIssue({
      code: 'custom',
      message: 'has serviceAccounts beside principals or namespaces; use one of them',
    });
});

const operation = record({
  hosts: describe(
    z.array(pattern).optional(),
    'Hosts of the request, in any case; one without a port holds for every port. `x*`, `*x`, `*`.',
  ),
  notHosts: describe(z.array(pattern).optional(), 'Hosts that the request must not have.'),
  ports: describe(z.array(port).optional(), 'Ports of the workload, as texts.'),
  notPorts: describe(z.array(port).optional(), 'Ports that must not be the one that is called.'),
  methods: describe(z.array(pattern).optional(), 'Methods of the request. `x*`, `*x`, `*`.'),
  notMethods: describe(z.array(pattern).optional(), 'Methods that the request must not have.'),
  paths: describe(
    z.array(pathPattern).optional(),
    'Paths without query, in the form that meshConfig.pathNormalization gives them: `/x`, `/x*`, `*x`, `*`, or with {*} for one segment and {**} for any number.',
  ),
  notPaths: describe(z.array(pathPattern).optional(), 'Paths that the request must not have.'),
}).superRefine((value, context) => {
  if (hasNothing(value))
    context.addIssue({ code: 'custom', message: 'says nothing; leave `to` out to mean every operation' });
});

function hasNothing(value: Readonly<Record<string, unknown>>): boolean {
  return Object.values(value).every((list) => Array.isArray(list) && list.length === 0);
}

/** Checks of values, by key of a condition. */
const conditionValues: Readonly<Record<string, z.ZodType>> = {
  'source.ip': address,
  'remote.ip': address,
  'source.namespace': namespacePattern,
  'source.principal': pattern,
  'source.serviceAccount': serviceAccount,
  'destination.ip': address,
  'destination.port': port,
  'connection.sni': pattern,
};

const laterKeys: readonly (readonly [start: string, instead: string])[] = [
  ['request.auth.', jwt],
  ['experimental.', 'it needs filters that write metadata'],
  ['request.experimental.', 'use request.headers[...]'],
  ['source.trustDomain', 'only one trust domain is taken; use source.principal'],
];

const condition = record({
  key: describe(
    nonEmptyText,
    'What is compared: `request.headers[<name>]`, source.ip, remote.ip, source.namespace, source.principal, source.serviceAccount, destination.ip, destination.port or connection.sni.',
  ),
  values: describe(
    z.array(nonEmptyText).optional(),
    'Values of which it must have one; patterns as in `from` and `to`.',
  ),
  notValues: describe(z.array(nonEmptyText).optional(), 'Values of which it must have none.'),
}).superRefine(({ key, values = [], notValues = [] }, context) => {
  if (values.length === 0 && notValues.length === 0)
    context.addIssue({ code: 'custom', message: 'needs `values` or `notValues`' });
  const later = laterKeys.find(([start]) => key.startsWith(start));
  if (later !== undefined) {
    const message = `${key} is not supported yet; ${later[1]}`;
    context.addIssue({ code: 'custom', path: ['key'], message, params: { code: unsupported } });
    return;
  }
  const header = /^request\.headers\[(.*)\]$/.exec(key)?.[1];
  if (header !== undefined) {
    if (!headerOperationName.safeParse(header).success)
      context.addIssue({ code: 'custom', path: ['key'], message: 'must have an HTTP header name in its brackets' });
    return;
  }
  const check = Object.hasOwn(conditionValues, key) ? conditionValues[key] : undefined;
  if (check === undefined) {
    const message = `is not a known key; the keys are request.headers[<name>], ${Object.keys(conditionValues).join(', ')}`;
    context.addIssue({ code: 'custom', path: ['key'], message });
    return;
  }
  for (const [name, list] of [
    ['values', values],
    ['notValues', notValues],
  ] as const)
    for (const [i, value] of list.entries()) {
      const [issue] = check.safeParse(value).error?.issues ?? [];
      if (issue !== undefined) context.addIssue({ code: 'custom', path: [name, i], message: issue.message });
    }
});

const rule = record({
  from: describe(
    z
      .array(record({ source: describe(source, 'All that it names must hold for the caller.') }))
      .min(1, 'must not be empty; leave it out to mean every caller')
      .optional(),
    'Callers, of whom one must match; absent: every caller, also one without a certificate.',
  ),
  to: describe(
    z
      .array(record({ operation: describe(operation, 'All that it names must hold for the request.') }))
      .min(1, 'must not be empty; leave it out to mean every operation')
      .optional(),
    'Operations, of which one must match; absent: every operation.',
  ),
  when: describe(z.array(condition).optional(), 'Further conditions, all of which must hold.'),
});

const action = z.enum(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']).superRefine((value, context) => {
  if (value === 'AUDIT' || value === 'CUSTOM')
    context.addIssue({
      code: 'custom',
      message: `${value} is not supported yet; use ALLOW or DENY`,
      params: { code: unsupported },
    });
});

export const authorizationPolicySpec = record({
  selector: describe(
    record({ matchLabels: describe(labels.optional(), 'Labels that a workload must have.') }).optional(),
    'Workloads that it is for; absent: all. Those of the namespace, or for objects in the root namespace those of the whole mesh.',
  ),
  targetRef: refused('A gateway or service that it is for.', 'use selector'),
  targetRefs: refused('Gateways or services that it is for.', 'use selector'),
  action: describe(action.optional(), 'ALLOW (default) or DENY.'),
  provider: refused('Who decides for CUSTOM.'),
  rules: describe(
    z.array(rule).optional(),
    'Rules of which one must match. None: the policy matches nothing, so with ALLOW everything is denied. `[{}]` matches everything. On ports that carry bytes an ALLOW rule that names anything of HTTP is left out, and a DENY rule holds without what it names of HTTP.',
  ),
});

export type AuthorizationPolicySpec = z.infer<typeof authorizationPolicySpec>;
export type AuthorizationRule = NonNullable<AuthorizationPolicySpec['rules']>[number];
export type AuthorizationSource = NonNullable<AuthorizationRule['from']>[number]['source'];
export type AuthorizationOperation = NonNullable<AuthorizationRule['to']>[number]['operation'];

function isAddressOrRange(text: string): boolean {
  const [ip = '', length, more] = text.split('/');
  const family = ip.includes('%') ? 0 : isIP(ip);
  if (family === 0 || more !== undefined) return false;
  return length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128));
}
