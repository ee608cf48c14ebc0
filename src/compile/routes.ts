// Turns the rules of a VirtualService into Envoy routes, in Istio's translation.
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { VirtualService } from '../api/kinds.js';
import { objectKey } from '../api/object.js';
import type { RetryPolicySpec } from '../api/retry-policy.js';
import type { StringMatch } from '../api/schema.js';
import type {
  DirectResponse,
  HeaderChanges,
  HttpMatch,
  HttpRedirect,
  HttpRouteRule,
  RouteDestination,
  WeightedDestination,
} from '../api/virtual-service.js';
import { resolveHost } from '../model/host.js';
import type { ServiceIndex } from '../model/snapshot.js';
import { parseDurationMs } from '../util/duration.js';
import {
  HeaderValueOption_HeaderAppendAction as AppendAction,
  DecoratorSchema,
  RedirectAction_RedirectResponseCode as RedirectCode,
  RouteSchema,
  type RetryPolicy,
  type Route,
} from '../xds/messages.js';
import { durationOf } from './messages.js';
import { compileMirrors } from './mirrors.js';
import { outboundClusterName } from './names.js';
import { provenance, type Omission } from './provenance.js';
import { compileRetries } from './retries.js';
import { compileRouteFilters } from './route-filters.js';
import { pattern } from './string-matches.js';
import { whyMatchIsNotFor, type Client } from './virtual-services.js';

type RouteInit = MessageInitShape<typeof RouteSchema>;
type ActionInit = Exclude<RouteInit['action'], undefined>;
type MatchInit = Exclude<Exclude<RouteInit['match'], undefined>, { $typeName: string }>;
type HeaderOptionInit = NonNullable<RouteInit['requestHeadersToAdd']>[number];

export interface CompiledRoutes {
  readonly routes: readonly Route[];
  readonly omissions: readonly Omission[];
}

/** The route of a service that no VirtualService owns. */
export function defaultRoute(host: string, port: number, retries: RetryPolicySpec | undefined): Route {
  return create(RouteSchema, {
    name: 'default',
    match: { pathSpecifier: { case: 'prefix', value: '/' } },
    decorator: { operation: `${host}:${port}/*` },
    action: {
      case: 'route',
      value: {
        clusterSpecifier: { case: 'cluster', value: outboundClusterName(port, '', host) },
        ...timeouts(0),
        ...retryField(compileRetries(retries)),
      },
    },
  });
}

/**
 * Every rule that concerns `client` on a listener for `port`, in order; what follows a rule that takes everything is left out.
 * `retries` are those of rules that have none of their own.
 */
export function compileHttpRoutes(
  owner: VirtualService,
  services: ServiceIndex,
  client: Client,
  port: number,
  retries: RetryPolicySpec | undefined,
): CompiledRoutes {
  const context: RuleContext = { owner, services, port, retries };
  const routes: Route[] = [];
  const omissions: Omission[] = [];
  const omit = (path: string, reason: string) => omissions.push({ object: objectKey(owner), path, reason });
  let takesAll = false;
  for (const [i, rule] of (owner.spec.http ?? []).entries()) {
    const path = `spec.http[${i}]`;
    if (takesAll) {
      omit(path, 'an earlier rule takes every request');
      continue;
    }
    if (rule.match === undefined || rule.match.length === 0) {
      routes.push(compileRule(context, path, rule, undefined));
      takesAll = true;
      continue;
    }
    for (const [j, match] of rule.match.entries()) {
      const matchPath = `${path}.match[${j}]`;
      const reason = takesAll ? 'an earlier match takes every request' : whyMatchIsNotFor(match, client, port);
      if (reason !== undefined) {
        omit(matchPath, reason);
        continue;
      }
      routes.push(compileRule(context, matchPath, rule, match));
      takesAll = isCatchAll(match);
    }
  }
  return { routes, omissions };
}

/** What all rules of one object are compiled with. */
interface RuleContext {
  readonly owner: VirtualService;
  readonly services: ServiceIndex;
  /** Port of the listener. */
  readonly port: number;
  readonly retries: RetryPolicySpec | undefined;
}

function compileRule(context: RuleContext, path: string, rule: HttpRouteRule, match: HttpMatch | undefined): Route {
  const name = [rule.name, match?.name].filter((part) => part !== undefined && part !== '').join('.');
  const init: RouteInit = {
    name,
    match: compileMatch(match),
    metadata: provenance(context.owner, path),
    ...headerChanges(rule.headers),
    typedPerFilterConfig: compileRouteFilters(rule),
  };
  const route = create(RouteSchema, { ...init, action: compileAction(context, rule, init) });
  route.decorator = create(DecoratorSchema, { operation: operationOf(route, context.owner.name, context.port) });
  return route;
}

/** What Istio calls the spans of a route: its only destination, or the object where there are several, and the path. */
function operationOf({ match, action }: Route, ownerName: string, listenerPort: number): string {
  const path = match?.pathSpecifier;
  const paths =
    path?.case === 'prefix'
      ? `${path.value}*`
      : path?.case === 'path'
        ? path.value
        : path?.case === 'safeRegex'
          ? path.value.regex
          : '/*';
  const cluster =
    action.case === 'route' && action.value.clusterSpecifier.case === 'cluster'
      ? action.value.clusterSpecifier.value
      : undefined;
  const [, port, , host] = cluster?.split('|') ?? [];
  return host === undefined ? `${ownerName}:${listenerPort}${paths}` : `${host}:${port}${paths}`;
}

function compileAction(context: RuleContext, rule: HttpRouteRule, init: RouteInit): ActionInit {
  if (rule.redirect !== undefined) return compileRedirect(rule.redirect, context.port);
  if (rule.directResponse !== undefined) return compileDirectResponse(rule.directResponse);
  return forward(context, rule, init);
}

/** Whether a match lets every request through: then nothing after it can be reached. */
export function isCatchAll(match: HttpMatch): boolean {
  const { uri } = match;
  const anyPath =
    uri === undefined || uri.prefix === '/' || uri.regex === '*' || uri.regex === '.*' || Object.keys(uri).length === 0;
  const conditions = [match.headers, match.withoutHeaders, match.queryParams].some(
    (map) => map !== undefined && Object.keys(map).length > 0,
  );
  return (
    anyPath &&
    !conditions &&
    [match.method, match.authority, match.scheme].every(
      (value) => value === undefined || Object.keys(value).length === 0,
    )
  );
}

function compileMatch(match: HttpMatch | undefined): MatchInit {
  if (match === undefined) return { pathSpecifier: { case: 'prefix', value: '/' } };
  const headers: NonNullable<MatchInit['headers']> = [];
  for (const [name, value] of sortedEntries(match.headers)) headers.push(headerMatcher(name.toLowerCase(), value));
  for (const [name, value] of sortedEntries(match.withoutHeaders))
    headers.push({
      ...headerMatcher(name.toLowerCase(), value),
      invertMatch: true,
      treatMissingHeaderAsEmpty: !isPresence(value),
    });
  for (const [name, value] of [
    [':method', match.method],
    [':authority', match.authority],
    [':scheme', match.scheme],
  ] as const)
    if (value !== undefined && !isPresence(value)) headers.push(headerMatcher(name, value));
  return {
    pathSpecifier: pathSpecifier(match.uri),
    caseSensitive: match.ignoreUriCase !== true,
    headers,
    queryParameters: sortedEntries(match.queryParams).map(([name, value]) => ({
      name,
      queryParameterMatchSpecifier: isPresence(value)
        ? { case: 'presentMatch' as const, value: true }
        : { case: 'stringMatch' as const, value: { matchPattern: pattern(value) } },
    })),
  };
}

function pathSpecifier(uri: StringMatch | undefined): NonNullable<MatchInit['pathSpecifier']> {
  if (uri?.exact !== undefined) return { case: 'path', value: uri.exact };
  if (uri?.regex !== undefined && uri.regex !== '*') return { case: 'safeRegex', value: { regex: uri.regex } };
  return { case: 'prefix', value: uri?.prefix === undefined || uri.prefix === '' ? '/' : uri.prefix };
}

/** Istio reads an empty match and the expression `*` as "the header is there". */
function isPresence(match: StringMatch): boolean {
  return match.regex === '*' || (match.exact === undefined && match.prefix === undefined && match.regex === undefined);
}

function headerMatcher(name: string, match: StringMatch) {
  return {
    name,
    headerMatchSpecifier: isPresence(match)
      ? { case: 'presentMatch' as const, value: true }
      : { case: 'stringMatch' as const, value: { matchPattern: pattern(match) } },
  };
}

function forward({ owner, services, port, retries }: RuleContext, rule: HttpRouteRule, init: RouteInit): ActionInit {
  // Zero drops a destination beside others; a sole destination takes everything whatever its weight.
  const all = rule.route ?? [];
  const destinations = all.length > 1 ? all.filter((destination) => (destination.weight ?? 0) > 0) : all;
  const [sole] = destinations;
  const clusterOf = (destination: RouteDestination) => clusterFor(destination, owner.namespace, services, port);
  const rewrite = rule.rewrite;
  const authority =
    rewrite?.authority ??
    authorityOf(rule.headers) ??
    (destinations.length === 1 ? authorityOf(sole?.headers) : undefined);
  if (destinations.length === 1 && sole !== undefined) addHeaderChanges(init, headerChanges(sole.headers));
  return {
    case: 'route',
    value: {
      clusterSpecifier:
        destinations.length === 1
          ? { case: 'cluster', value: clusterOf(sole!.destination) }
          : {
              case: 'weightedClusters',
              value: {
                clusters: destinations.map((destination) =>
                  weighted(destination, clusterOf(destination.destination), rewrite?.authority),
                ),
              },
            },
      ...timeouts(parseDurationMs(rule.timeout ?? '0s') ?? 0),
      ...retryField(compileRetries(rule.retries ?? retries)),
      requestMirrorPolicies: compileMirrors(rule, clusterOf),
      ...(rewrite?.uri === undefined ? {} : { prefixRewrite: rewrite.uri }),
      ...(rewrite?.uriRegexRewrite === undefined
        ? {}
        : {
            regexRewrite: {
              pattern: { regex: rewrite.uriRegexRewrite.match },
              substitution: rewrite.uriRegexRewrite.rewrite,
            },
          }),
      ...(authority === undefined
        ? {}
        : { hostRewriteSpecifier: { case: 'hostRewriteLiteral' as const, value: authority } }),
    },
  };
}

/** Callers of gRPC may ask for less than the route gives, as in Istio (`setTimeout`); 0: everybody may take any time. */
function timeouts(ms: number) {
  return { timeout: durationOf(ms), maxGrpcTimeout: durationOf(ms) };
}

function retryField(retryPolicy: RetryPolicy | undefined) {
  return retryPolicy === undefined ? {} : { retryPolicy };
}

function weighted(destination: WeightedDestination, name: string, routeAuthority: string | undefined) {
  const authority = routeAuthority === undefined ? authorityOf(destination.headers) : undefined;
  return {
    name,
    weight: destination.weight ?? 0,
    ...headerChanges(destination.headers),
    ...(authority === undefined
      ? {}
      : { hostRewriteSpecifier: { case: 'hostRewriteLiteral' as const, value: authority } }),
  };
}

/** Cluster of a destination: its port, else the only port of the service, else the port of the listener. */
export function clusterFor(
  destination: RouteDestination,
  ruleNamespace: string,
  services: ServiceIndex,
  listenerPort: number,
): string {
  const host = resolveHost(destination.host, ruleNamespace);
  const ports = services.byHost.get(host)?.ports ?? [];
  const port = destination.port?.number ?? (ports.length === 1 ? ports[0]!.port : listenerPort);
  return outboundClusterName(port, destination.subset ?? '', host);
}

function compileRedirect(redirect: HttpRedirect, listenerPort: number): ActionInit {
  const codes: Record<number, RedirectCode> = {
    302: RedirectCode.FOUND,
    303: RedirectCode.SEE_OTHER,
    307: RedirectCode.TEMPORARY_REDIRECT,
    308: RedirectCode.PERMANENT_REDIRECT,
  };
  const port = redirect.port ?? (redirect.derivePort === 'FROM_REQUEST_PORT' ? listenerPort : 0);
  const isDefaultPort =
    (port === 80 && (redirect.scheme ?? 'http') === 'http') || (port === 443 && redirect.scheme === 'https');
  return {
    case: 'redirect',
    value: {
      hostRedirect: redirect.authority ?? '',
      portRedirect: isDefaultPort ? 0 : port,
      responseCode: codes[redirect.redirectCode ?? 301] ?? RedirectCode.MOVED_PERMANENTLY,
      ...(redirect.uri === undefined
        ? {}
        : { pathRewriteSpecifier: { case: 'pathRedirect' as const, value: redirect.uri } }),
      ...(redirect.scheme === undefined
        ? {}
        : { schemeRewriteSpecifier: { case: 'schemeRedirect' as const, value: redirect.scheme } }),
    },
  };
}

function compileDirectResponse({ status, body }: DirectResponse): ActionInit {
  const bytes = body?.bytes === undefined ? undefined : Buffer.from(body.bytes, 'base64');
  return {
    case: 'directResponse',
    value: {
      status,
      ...(body?.string === undefined
        ? {}
        : { body: { specifier: { case: 'inlineString' as const, value: body.string } } }),
      ...(bytes === undefined ? {} : { body: { specifier: { case: 'inlineBytes' as const, value: bytes } } }),
    },
  };
}

interface HeaderChangesInit {
  requestHeadersToAdd: HeaderOptionInit[];
  requestHeadersToRemove: string[];
  responseHeadersToAdd: HeaderOptionInit[];
  responseHeadersToRemove: string[];
}

/** Header operations without those on the authority, which Istio turns into a rewrite, and on pseudo-headers, which it drops. */
function headerChanges(changes: HeaderChanges | undefined): HeaderChangesInit {
  return {
    requestHeadersToAdd: headersToAdd(changes?.request, isRequestHeader),
    requestHeadersToRemove: (changes?.request?.remove ?? []).filter(isRequestHeader),
    responseHeadersToAdd: headersToAdd(changes?.response, isHeader),
    responseHeadersToRemove: (changes?.response?.remove ?? []).filter(isHeader),
  };
}

function addHeaderChanges(init: RouteInit, more: HeaderChangesInit): void {
  for (const key of Object.keys(more) as (keyof HeaderChangesInit)[]) {
    const list = (init[key] ?? []) as unknown[];
    list.push(...more[key]);
  }
}

function headersToAdd(operations: HeaderChanges['request'], allowed: (name: string) => boolean): HeaderOptionInit[] {
  const option =
    (appendAction: AppendAction) =>
    ([key, value]: [string, string]) => ({ header: { key, value }, appendAction });
  const entries = (map: Record<string, string> | undefined) => sortedEntries(map).filter(([name]) => allowed(name));
  return [
    ...entries(operations?.set).map(option(AppendAction.OVERWRITE_IF_EXISTS_OR_ADD)),
    ...entries(operations?.add).map(option(AppendAction.APPEND_IF_EXISTS_OR_ADD)),
  ];
}

function authorityOf(changes: HeaderChanges | undefined): string | undefined {
  const find = (map: Record<string, string> | undefined) =>
    Object.entries(map ?? {}).find(([name]) => isAuthority(name))?.[1];
  return find(changes?.request?.set) ?? find(changes?.request?.add);
}

function isAuthority(name: string): boolean {
  return name.toLowerCase() === 'host' || name === ':authority';
}

function isHeader(name: string): boolean {
  return !name.startsWith(':');
}

function isRequestHeader(name: string): boolean {
  return isHeader(name) && !isAuthority(name);
}

function sortedEntries<T>(map: Readonly<Record<string, T>> | undefined): [string, T][] {
  return Object.entries(map ?? {}).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
