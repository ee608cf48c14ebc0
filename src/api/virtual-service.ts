// VirtualService (networking.istio.io): which request goes where. One schema is types, validation and manual.
import { corsPolicy } from './cors-policy.js';
import { httpFault } from './http-fault.js';
import { retryPolicy } from './retry-policy.js';
import {
  describe,
  duration,
  exportTo,
  findGroupCount,
  headerName,
  headerOperationName,
  headerTemplate,
  headerValue,
  hostName,
  labels,
  nonEmptyText,
  percent,
  portNumber,
  record,
  refused,
  regularExpression,
  stringMatch,
  text,
  unsupported,
  z,
} from './schema.js';

const headerOperations = record({
  set: describe(z.record(headerOperationName, headerTemplate).optional(), 'Overwrites headers.'),
  add: describe(z.record(headerOperationName, headerTemplate).optional(), 'Appends to headers.'),
  remove: describe(z.array(headerOperationName).optional(), 'Removes headers; done before set and add.'),
});

const headers = record({
  request: describe(headerOperations.optional(), 'Changes to the request before it is forwarded.'),
  response: describe(headerOperations.optional(), 'Changes to the response before it is returned.'),
});

const destination = record({
  host: describe(
    nonEmptyText,
    "Service to send to; a short name is completed with the VirtualService's own namespace.",
  ),
  subset: describe(text.optional(), 'Subset that a DestinationRule of the host defines.'),
  port: describe(
    record({ number: describe(portNumber.optional(), 'Port of the service.') }).optional(),
    'Port of the host; default: its only port, else the port of the listener.',
  ),
});

/** What the weights of one route may add up to: Envoy refuses configuration with more. */
const highestTotalWeight = 4_294_967_295;

const weightedDestination = record({
  destination: describe(destination, 'Where to send.'),
  weight: describe(
    z.int('must be a whole number').min(0, 'must not be negative').max(highestTotalWeight).optional(),
    'Share relative to the sum of the weights; 0 drops the destination where there are others.',
  ),
  headers: describe(headers.optional(), 'Header changes for this destination only.'),
});

const match = record({
  name: describe(text.optional(), 'Name of the match, shown with the name of the route.'),
  uri: describe(stringMatch.optional(), 'Path without query.'),
  ignoreUriCase: describe(z.boolean().optional(), 'Ignores case in exact and prefix matches of uri.'),
  scheme: describe(stringMatch.optional(), 'URI scheme.'),
  method: describe(stringMatch.optional(), 'HTTP method.'),
  authority: describe(stringMatch.optional(), 'Host header or :authority.'),
  headers: describe(
    z.record(headerName, stringMatch).optional(),
    'Headers by lower-case name; an empty match tests presence only; several values are joined by commas.',
  ),
  withoutHeaders: describe(z.record(headerName, stringMatch).optional(), 'Headers that must not match.'),
  queryParams: describe(
    z.record(z.string().min(1), stringMatch).optional(),
    'First value of query parameters, undecoded.',
  ),
  port: describe(portNumber.optional(), 'Port of the service that is called; decided when configuration is compiled.'),
  sourceLabels: describe(labels.optional(), 'Labels of the calling workload; decided when configuration is compiled.'),
  sourceNamespace: describe(
    text.optional(),
    'Namespace of the calling workload; decided when configuration is compiled.',
  ),
  gateways: describe(z.array(text).optional(), 'Where the match applies; only `mesh` exists here.'),
  statPrefix: refused("Prefix of Envoy's own statistics."),
});

const rewrite = record({
  uri: describe(
    text.optional(),
    'Replaces the matched prefix, or the whole path where the match was exact or a regex.',
  ),
  authority: describe(headerValue.optional(), 'Replaces the Host header.'),
  uriRegexRewrite: describe(
    record({
      match: describe(regularExpression, 'RE2 expression; every match in the path is replaced.'),
      rewrite: describe(text, 'Replacement; \\1 and so on stand for groups.'),
    })
      .superRefine((value, context) => {
        const highest = Math.max(0, ...[...value.rewrite.matchAll(/\\(\d)/g)].map(([, digit]) => Number(digit)));
        if (highest > (findGroupCount(value.match) ?? highest))
          context.addIssue({
            code: 'custom',
            path: ['rewrite'],
            message: `names group \\${highest}, which match does not have`,
          });
      })
      .optional(),
    'Rewrites the path by expression.',
  ),
}).superRefine((value, context) => {
  if (value.uri !== undefined && value.uriRegexRewrite !== undefined)
    context.addIssue({ code: 'custom', message: 'has uri and uriRegexRewrite; only one is allowed' });
  if (Object.keys(value).length === 0)
    context.addIssue({ code: 'custom', message: 'needs uri, authority or uriRegexRewrite' });
});

const redirect = record({
  uri: describe(text.optional(), 'Path of the Location; default: the path of the request.'),
  authority: describe(headerValue.optional(), 'Host of the Location; default: that of the request.'),
  scheme: describe(z.enum(['http', 'https']).optional(), 'Scheme of the Location; default: that of the request.'),
  port: describe(portNumber.optional(), 'Port of the Location; 80 and 443 are left out for their schemes.'),
  derivePort: describe(
    z.enum(['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT']).optional(),
    'Port of the Location from the scheme (default) or from the port that was called.',
  ),
  redirectCode: describe(
    z
      .int()
      .refine((code) => [301, 302, 303, 307, 308].includes(code), 'must be 301, 302, 303, 307 or 308')
      .optional(),
    'Status; default 301.',
  ),
}).superRefine((value, context) => {
  if (value.port !== undefined && value.derivePort !== undefined)
    context.addIssue({ code: 'custom', message: 'has port and derivePort; only one is allowed' });
  if (
    value.uri === undefined &&
    value.authority === undefined &&
    value.scheme === undefined &&
    value.port === undefined &&
    value.derivePort === undefined
  )
    context.addIssue({ code: 'custom', message: 'needs uri, authority, scheme, port or derivePort' });
});

/** What a fixed answer may be long: Istio's limit. */
const longestBody = 1024 * 1024;

const body = record({
  string: describe(text.max(longestBody, 'must be at most 1 MiB').optional(), 'The body as text.'),
  bytes: describe(
    z
      .base64('must be base64')
      .max(Math.ceil(longestBody / 3) * 4, 'must be at most 1 MiB')
      .optional(),
    'The body in base64.',
  ),
}).superRefine((value, context) => {
  if (Object.keys(value).length !== 1)
    context.addIssue({ code: 'custom', message: 'needs exactly one of string and bytes' });
});

const directResponse = record({
  status: describe(
    z.int('must be a whole number').min(200, 'must be at least 200').max(599, 'must be at most 599'),
    'Status that is answered.',
  ),
  body: describe(body.optional(), 'Body of the answer, as text/plain unless headers.response says otherwise.'),
});

const mirrorPolicy = record({
  destination: describe(destination, 'Where copies are sent; their answers are thrown away.'),
  percentage: describe(percent.optional(), 'Share of requests to copy; default all, 0 none.'),
});

/** Share in whole percent, as old objects give it. */
const wholePercent = z
  .int('must be a whole number')
  .min(0, 'must not be negative')
  .max(100, 'must be at most 100')
  .optional();

const httpRoute = record({
  name: describe(text.optional(), 'Name shown in access logs (ROUTE_NAME).'),
  match: describe(z.array(match).optional(), 'Any of these must match; none given: every request.'),
  route: describe(z.array(weightedDestination).min(1, 'must name a destination').optional(), 'Weighted destinations.'),
  redirect: describe(redirect.optional(), 'Answers with a redirection instead.'),
  rewrite: describe(rewrite.optional(), 'Changes path or authority before forwarding.'),
  timeout: describe(
    duration.optional(),
    'For the whole request until the last byte of the response; default and 0s: none.',
  ),
  headers: describe(headers.optional(), 'Header changes.'),
  retries: describe(
    retryPolicy.optional(),
    'When a request is tried again; default: MeshConfig.defaultHttpRetryPolicy, else twice where the first try cannot have had an effect.',
  ),
  directResponse: describe(directResponse.optional(), 'Answers with a fixed response instead.'),
  delegate: refused('Continues in another VirtualService.'),
  fault: describe(httpFault.optional(), 'Injects delays and errors.'),
  mirror: describe(destination.optional(), 'Copies requests to another service; answers to copies are thrown away.'),
  mirrors: describe(z.array(mirrorPolicy).optional(), 'Copies requests to several services.'),
  mirrorPercentage: describe(percent.optional(), 'Share of requests that mirror copies; default all, 0 none.'),
  mirrorPercent: describe(wholePercent, 'Older form of mirrorPercentage, which counts where both are given.'),
  mirror_percent: describe(wholePercent, 'Older form of mirrorPercentage, which counts where both are given.'),
  corsPolicy: describe(corsPolicy.optional(), 'Cross-origin resource sharing.'),
}).superRefine((value, context) => {
  const actions = (['route', 'redirect', 'directResponse'] as const).filter((name) => value[name] !== undefined);
  if (actions.length > 1)
    context.addIssue({ code: 'custom', message: `has ${actions.join(' and ')}; only one is allowed` });
  if (actions.length === 0 && value.delegate === undefined)
    context.addIssue({ code: 'custom', message: 'needs a route, a redirect or a directResponse' });
  for (const action of ['redirect', 'directResponse'] as const)
    if (value[action] !== undefined && value.rewrite !== undefined)
      context.addIssue({ code: 'custom', path: ['rewrite'], message: `cannot stand beside ${action}` });
  if (value.mirror !== undefined && value.mirrors !== undefined)
    context.addIssue({ code: 'custom', path: ['mirrors'], message: 'stands beside mirror; only one is allowed' });
  if (value.mirrorPercent !== undefined && value.mirror_percent !== undefined)
    context.addIssue({
      code: 'custom',
      path: ['mirror_percent'],
      message: 'is another spelling of mirrorPercent, which is given too; remove one',
    });
  for (const message of weightProblems(value.route ?? []))
    context.addIssue({ code: 'custom', path: ['route'], message });
});

const noAddress = 'without redirection connections have no destination address of their own';

const tcpMatch = record({
  destinationSubnets: refused('Addresses that are called.', noAddress),
  port: describe(portNumber.optional(), 'Port of the service that is called.'),
  sourceLabels: describe(labels.optional(), 'Labels of the calling workload.'),
  sourceNamespace: describe(text.optional(), 'Namespace of the calling workload.'),
  gateways: describe(z.array(text).optional(), 'Where the match applies; only `mesh` exists here.'),
  sourceSubnet: refused('Addresses of callers.', noAddress),
});

const tcpDestination = record({
  destination: describe(destination, 'Where to send.'),
  weight: describe(
    z.int('must be a whole number').min(0, 'must not be negative').max(highestTotalWeight).optional(),
    'Share relative to the sum of the weights; 0 drops the destination where there are others.',
  ),
});

const tcpRoute = record({
  match: describe(
    z.array(tcpMatch).optional(),
    'Any of these must match; none given: every connection. Decided when configuration is compiled.',
  ),
  route: describe(z.array(tcpDestination).min(1, 'must name a destination'), 'Weighted destinations.'),
}).superRefine((value, context) => {
  for (const message of weightProblems(value.route)) context.addIssue({ code: 'custom', path: ['route'], message });
});

/** What is wrong with the weights of one route. */
function weightProblems(route: readonly { readonly weight?: number | undefined }[]): string[] {
  const total = route.reduce((sum, { weight = 0 }) => sum + weight, 0);
  if (total > highestTotalWeight)
    return [`has weights that add up to more than ${highestTotalWeight}; make them smaller`];
  return route.length > 1 && route.every(({ weight = 0 }) => weight === 0)
    ? ['has weights that add up to 0; give at least one destination a weight']
    : [];
}

export const virtualServiceSpec = record({
  hosts: describe(
    z.array(hostName).min(1, 'must name a host'),
    'Hosts that the rules are for; short names are completed with the namespace of the object.',
  ),
  gateways: describe(
    z
      .array(
        text.refine((name) => name === 'mesh', {
          message: 'is not supported yet: there is only the gateway `mesh`',
          params: { code: unsupported },
        }),
      )
      .optional(),
    'Where the rules apply: `mesh`, the default, means all workloads.',
  ),
  http: describe(z.array(httpRoute).optional(), 'Rules for HTTP; the first that matches counts.'),
  exportTo: describe(exportTo.optional(), 'Namespaces that see the object: `*` (default), `.`, `~` or names.'),
  tls: refused('Rules for TLS by server name.'),
  tcp: describe(
    z.array(tcpRoute).optional(),
    'Rules for bytes on ports of protocol tcp and on detected ports; the first that matches counts.',
  ),
}).superRefine((value, context) => {
  const seen = new Set<string>();
  for (const [i, host] of value.hosts.entries()) {
    if (seen.has(host)) context.addIssue({ code: 'custom', path: ['hosts', i], message: `names ${host} twice` });
    seen.add(host);
  }
  if (value.http === undefined && value.tls === undefined && value.tcp === undefined)
    context.addIssue({ code: 'custom', message: 'needs http or tcp' });
});

export type VirtualServiceSpec = z.infer<typeof virtualServiceSpec>;
export type HttpRouteRule = NonNullable<VirtualServiceSpec['http']>[number];
export type HttpMatch = z.infer<typeof match>;
export type WeightedDestination = z.infer<typeof weightedDestination>;
export type RouteDestination = z.infer<typeof destination>;
export type TcpMatch = z.infer<typeof tcpMatch>;
export type TcpRouteRule = z.infer<typeof tcpRoute>;
export type HeaderOperations = z.infer<typeof headerOperations>;
export type HeaderChanges = z.infer<typeof headers>;
export type DirectResponse = z.infer<typeof directResponse>;
export type HttpRedirect = z.infer<typeof redirect>;
export type HttpRewrite = z.infer<typeof rewrite>;
export type MirrorPolicy = z.infer<typeof mirrorPolicy>;
