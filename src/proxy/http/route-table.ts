// A route configuration in the form in which requests use it: hosts in maps, matchers and actions compiled.
import { RE2JS } from 're2js';
import {
  RedirectAction_RedirectResponseCode as RedirectCode,
  type DirectResponseAction,
  type RedirectAction,
  type Route,
  type RouteAction,
  type RouteConfiguration,
  type RouteMatch,
  type VirtualHost,
  type WeightedCluster_ClusterWeight,
} from '../../xds/messages.js';
import { pickByWeight } from '../balance/pick-by-weight.js';
import { findProvenance, type Provenance } from '../config/metadata.js';
import { readMirrors, readRetries, type MirrorConfig, type RetryConfig } from '../config/route-config.js';
import { readRouteFilters, type RouteFilters } from '../config/route-filters.js';
import { readTimeouts, type RouteTimeouts } from '../config/route-timeouts.js';
import { compileHeaderChanges, joinHeaderChanges, type HeaderChange } from './header-changes.js';
import {
  compileHeaderMatcher,
  compileQueryMatcher,
  compileRegex,
  pathOnly,
  UnsupportedConfig,
  type RequestPredicate,
  type RoutedRequest,
} from './matchers.js';

/** One destination of a route. */
export interface Destination {
  readonly cluster: string;
  readonly weight: number;
  readonly requestHeaders: HeaderChange | undefined;
  readonly responseHeaders: HeaderChange | undefined;
  /** Replaces the authority. */
  readonly authority: string | undefined;
}

/** Forwards a request. */
export interface ForwardAction extends RouteTimeouts {
  readonly kind: 'forward';
  readonly destinations: readonly Destination[];
  readonly totalWeight: number;
  /** Returns the new path; undefined leaves it. */
  readonly rewritePath: ((path: string) => string) | undefined;
  readonly notFoundStatus: number;
  /** Whether a CONNECT ends here and its bytes go on. */
  readonly isConnect: boolean;
  /** When it is tried again; undefined: never. */
  readonly retries: RetryConfig | undefined;
  /** Where copies of it go. */
  readonly mirrors: readonly MirrorConfig[];
}

/** Answers with a redirection. */
export interface RedirectTo {
  readonly kind: 'redirect';
  readonly status: number;
  locationOf(request: RoutedRequest): string;
  readonly responseHeaders: HeaderChange | undefined;
}

/** Answers with what the route says. */
export interface DirectAnswer {
  readonly kind: 'direct';
  readonly status: number;
  readonly body: string | Uint8Array;
  readonly responseHeaders: HeaderChange | undefined;
}

export type RouteAnswer = ForwardAction | RedirectTo | DirectAnswer;

/** Faults and cross-origin rules hold for what is forwarded only. */
export interface CompiledRoute extends RouteFilters {
  readonly name: string;
  readonly matches: RequestPredicate;
  readonly action: RouteAnswer;
  /** Name of its spans; empty: none of its own. */
  readonly operation: string;
  /** Whether the server's span gets that name too. */
  readonly propagatesOperation: boolean;
  /** The object that wrote the route. */
  readonly provenance: Provenance | undefined;
}

export interface CompiledVirtualHost {
  readonly name: string;
  readonly routes: readonly CompiledRoute[];
}

/** Header changes of a scope and those around it: route, then virtual host, then route configuration. */
interface ScopeChanges {
  readonly request: HeaderChange | undefined;
  readonly response: HeaderChange | undefined;
}

/** All routes of one name. */
export class RouteTable {
  readonly name: string;
  /** Clusters that the routes name. */
  readonly clusters: ReadonlySet<string>;
  /** Whether some route injects faults. */
  readonly usesFaults: boolean;
  /** Whether some route has cross-origin rules. */
  readonly usesCors: boolean;
  readonly #exact = new Map<string, CompiledVirtualHost>();
  /** `*.suffix` and `prefix.*`, longest first. */
  readonly #suffixes: [string, CompiledVirtualHost][] = [];
  readonly #prefixes: [string, CompiledVirtualHost][] = [];
  #any: CompiledVirtualHost | undefined;

  /** @throws UnsupportedConfig where something in it is not understood */
  constructor(configuration: RouteConfiguration) {
    this.name = configuration.name;
    if (configuration.mostSpecificHeaderMutationsWins)
      throw new UnsupportedConfig('the narrowest header changes cannot be done last');
    refuseFilterConfigs(`route configuration ${configuration.name}`, configuration);
    const longestBody = configuration.maxDirectResponseBodySizeBytes ?? 4096;
    const changes = changesOf(configuration, { request: undefined, response: undefined });
    const seen = new Set<string>();
    for (const host of configuration.virtualHosts) this.#add(host, changesOf(host, changes), longestBody, seen);
    for (const list of [this.#suffixes, this.#prefixes]) list.sort(([a], [b]) => b.length - a.length);
    const hosts = [
      ...this.#exact.values(),
      ...this.#suffixes.map(([, host]) => host),
      ...this.#prefixes.map(([, host]) => host),
      ...(this.#any === undefined ? [] : [this.#any]),
    ];
    this.usesFaults = hosts.some(({ routes }) => routes.some(({ fault }) => fault !== undefined));
    this.usesCors = hosts.some((host) => host.routes.some(({ cors }) => cors !== undefined));
    this.clusters = new Set(
      hosts.flatMap((host) =>
        host.routes.flatMap(({ action }) =>
          action.kind === 'forward' ? [...action.destinations, ...action.mirrors].map(({ cluster }) => cluster) : [],
        ),
      ),
    );
  }

  /** The virtual host for an authority: the exact name, else the longest wildcard. */
  findHost(authority: string): CompiledVirtualHost | undefined {
    const exact = this.#exact.get(authority) ?? this.#exact.get(authority.toLowerCase());
    if (exact !== undefined) return exact;
    const host = authority.toLowerCase();
    for (const [suffix, found] of this.#suffixes)
      if (host.length > suffix.length && host.endsWith(suffix)) return found;
    for (const [prefix, found] of this.#prefixes)
      if (host.length > prefix.length && host.startsWith(prefix)) return found;
    return this.#any;
  }

  /** The first route of the host that matches. */
  findRoute(request: RoutedRequest): CompiledRoute | undefined {
    const host = this.findHost(request.authority);
    if (host === undefined) return undefined;
    for (const route of host.routes) if (route.matches(request)) return route;
    return undefined;
  }

  #add(virtualHost: VirtualHost, changes: ScopeChanges, longestBody: number, seen: Set<string>): void {
    const { name, requireTls, retryPolicy, requestMirrorPolicies, cors } = virtualHost;
    if (requireTls !== 0 || retryPolicy !== undefined || requestMirrorPolicies.length > 0 || cors !== undefined)
      throw new UnsupportedConfig(`virtual host ${name} redirects to TLS, retries, mirrors or has cross-origin rules`);
    refuseFilterConfigs(`virtual host ${name}`, virtualHost);
    const routes = virtualHost.routes.map((route) => compileRoute(route, changes, longestBody));
    const compiled: CompiledVirtualHost = { name, routes };
    for (const domain of virtualHost.domains.map((text) => text.toLowerCase())) {
      if (seen.has(domain)) throw new UnsupportedConfig(`domain ${domain} is in two virtual hosts`);
      seen.add(domain);
      if (domain === '*') this.#any = compiled;
      else if (domain.startsWith('*')) this.#suffixes.push([domain.slice(1), compiled]);
      else if (domain.endsWith('*')) this.#prefixes.push([domain.slice(0, -1), compiled]);
      else this.#exact.set(domain, compiled);
    }
  }
}

/** The changes of one scope, then those of the scopes around it. */
function changesOf(scope: RouteConfiguration | VirtualHost | Route, outer: ScopeChanges): ScopeChanges {
  return {
    request: joinHeaderChanges(
      compileHeaderChanges(scope.requestHeadersToAdd, scope.requestHeadersToRemove),
      outer.request,
    ),
    response: joinHeaderChanges(
      compileHeaderChanges(scope.responseHeadersToAdd, scope.responseHeadersToRemove),
      outer.response,
    ),
  };
}

function refuseFilterConfigs(what: string, scope: Pick<Route, 'typedPerFilterConfig'>): void {
  const [name] = Object.keys(scope.typedPerFilterConfig);
  if (name !== undefined)
    throw new UnsupportedConfig(`configuration of filter ${name} for ${what} is not supported, only for routes`);
}

function compileRoute(route: Route, outer: ScopeChanges, longestBody: number): CompiledRoute {
  if (route.match === undefined) throw new UnsupportedConfig(`route ${route.name} has no match`);
  if (route.tracing !== undefined) throw new UnsupportedConfig('tracing settings of routes are not supported');
  const { request, response } = changesOf(route, outer);
  const operation = route.decorator?.operation ?? '';
  return {
    name: route.name,
    matches: compileMatch(route.match),
    action: compileAction(route, request, response, longestBody),
    ...readRouteFilters(route.typedPerFilterConfig),
    operation,
    propagatesOperation: operation !== '' && route.decorator?.propagate !== false,
    provenance: findProvenance(route.metadata),
  };
}

function compileMatch(match: RouteMatch): RequestPredicate {
  const path = compilePath(match);
  const conditions = [...match.headers.map(compileHeaderMatcher), ...match.queryParameters.map(compileQueryMatcher)];
  if (
    match.runtimeFraction !== undefined ||
    match.grpc !== undefined ||
    match.tlsContext !== undefined ||
    match.dynamicMetadata.length > 0
  )
    throw new UnsupportedConfig('a route match has a condition that is not supported');
  switch (conditions.length) {
    case 0:
      return path;
    case 1: {
      const [only] = conditions as [RequestPredicate];
      return (request) => path(request) && only(request);
    }
    default:
      return (request) => path(request) && conditions.every((condition) => condition(request));
  }
}

function compilePath(match: RouteMatch): RequestPredicate {
  const { pathSpecifier, caseSensitive = true } = match;
  const fold = caseSensitive ? (text: string) => text : (text: string) => text.toLowerCase();
  const isRequest: RequestPredicate = (request) => request.method !== 'CONNECT';
  switch (pathSpecifier.case) {
    case 'prefix': {
      const wanted = fold(pathSpecifier.value);
      if (wanted === '/') return isRequest;
      return (request) => isRequest(request) && fold(pathOnly(request.path)).startsWith(wanted);
    }
    case 'path': {
      const wanted = fold(pathSpecifier.value);
      return (request) => isRequest(request) && fold(pathOnly(request.path)) === wanted;
    }
    case 'pathSeparatedPrefix': {
      const wanted = fold(pathSpecifier.value);
      return (request) => {
        const path = fold(pathOnly(request.path));
        return isRequest(request) && (path === wanted || path.startsWith(`${wanted}/`));
      };
    }
    case 'safeRegex': {
      const matches = compileRegex(pathSpecifier.value.regex);
      return (request) => isRequest(request) && matches(pathOnly(request.path));
    }
    case 'connectMatcher':
      return (request) => request.method === 'CONNECT';
    default:
      throw new UnsupportedConfig(`path match ${pathSpecifier.case ?? '(empty)'} is not supported`);
  }
}

function compileAction(
  route: Route,
  requestHeaders: HeaderChange | undefined,
  responseHeaders: HeaderChange | undefined,
  longestBody: number,
): RouteAnswer {
  switch (route.action.case) {
    case 'route':
      return compileForward(route.action.value, route, requestHeaders, responseHeaders);
    case 'redirect':
      return compileRedirect(route.action.value, responseHeaders);
    case 'directResponse':
      return compileDirectResponse(route.action.value, responseHeaders, longestBody);
    default:
      throw new UnsupportedConfig(`route action ${route.action.case ?? '(empty)'} is not supported`);
  }
}

function compileForward(
  action: RouteAction,
  route: Route,
  requestHeaders: HeaderChange | undefined,
  responseHeaders: HeaderChange | undefined,
): ForwardAction {
  const host = action.hostRewriteSpecifier;
  if (host.case !== undefined && host.case !== 'hostRewriteLiteral')
    throw new UnsupportedConfig(`host rewrite ${host.case} is not supported`);
  if (action.hashPolicy.length > 0) throw new UnsupportedConfig('hash policies of routes are not supported');
  if (action.retryPolicyTypedConfig !== undefined)
    throw new UnsupportedConfig('retry policies of extensions are not supported');
  if (action.cors !== undefined) throw new UnsupportedConfig('cross-origin rules of routes are not supported');
  const authority = host.case === undefined ? undefined : host.value;
  const destinations = destinationsOf(action).map((weight): Destination => ({
    cluster: weight.name,
    weight: weight.weight ?? 0,
    requestHeaders: joinHeaderChanges(
      compileHeaderChanges(weight.requestHeadersToAdd, weight.requestHeadersToRemove),
      requestHeaders,
    ),
    responseHeaders: joinHeaderChanges(
      compileHeaderChanges(weight.responseHeadersToAdd, weight.responseHeadersToRemove),
      responseHeaders,
    ),
    authority:
      weight.hostRewriteSpecifier.case === 'hostRewriteLiteral' ? weight.hostRewriteSpecifier.value : authority,
  }));
  return {
    kind: 'forward',
    destinations,
    totalWeight: destinations.reduce((sum, destination) => sum + destination.weight, 0),
    ...readTimeouts(action),
    rewritePath: compileRewrite(action, route.match!),
    notFoundStatus:
      action.clusterNotFoundResponseCode === 1 ? 404 : action.clusterNotFoundResponseCode === 2 ? 500 : 503,
    isConnect: action.upgradeConfigs.some(
      (upgrade) => upgrade.upgradeType === 'CONNECT' && upgrade.connectConfig !== undefined,
    ),
    retries: readRetries(action.retryPolicy),
    mirrors: readMirrors(action.requestMirrorPolicies),
  };
}

type WeightedName = Pick<
  WeightedCluster_ClusterWeight,
  | 'name'
  | 'weight'
  | 'requestHeadersToAdd'
  | 'requestHeadersToRemove'
  | 'responseHeadersToAdd'
  | 'responseHeadersToRemove'
  | 'hostRewriteSpecifier'
>;

function destinationsOf(action: RouteAction): WeightedName[] {
  switch (action.clusterSpecifier.case) {
    case 'cluster':
      return [
        {
          name: action.clusterSpecifier.value,
          weight: 1,
          requestHeadersToAdd: [],
          requestHeadersToRemove: [],
          responseHeadersToAdd: [],
          responseHeadersToRemove: [],
          hostRewriteSpecifier: { case: undefined },
        },
      ];
    case 'weightedClusters':
      for (const cluster of action.clusterSpecifier.value.clusters)
        refuseFilterConfigs(`destination ${cluster.name}`, cluster);
      return action.clusterSpecifier.value.clusters;
    default:
      throw new UnsupportedConfig(`cluster specifier ${action.clusterSpecifier.case ?? '(empty)'} is not supported`);
  }
}

/** Chooses by weight. */
export function pickDestination(
  { destinations, totalWeight }: ForwardAction,
  random: () => number,
): Destination | undefined {
  return pickByWeight(destinations, totalWeight, random);
}

function compileRewrite(action: RouteAction, match: RouteMatch): ((path: string) => string) | undefined {
  if (action.regexRewrite !== undefined) {
    const pattern = RE2JS.compile(action.regexRewrite.pattern?.regex ?? '');
    const groups = [...action.regexRewrite.substitution.matchAll(/\\(\d)/g)].map(([, digit]) => Number(digit));
    if (groups.some((group) => group > pattern.groupCount()))
      throw new UnsupportedConfig('a rewrite names a group that its expression does not have');
    const replacement = action.regexRewrite.substitution
      .replaceAll('$', '$$$$') // what means something to the library and nothing to Envoy
      .replace(/\\(\d|\\)/g, (_, what: string) => (what === '\\' ? '\\' : what === '0' ? '$&' : `$${what}`));
    return (path) => withQuery(path, (plain) => pattern.matcher(plain).replaceAll(replacement));
  }
  const { prefixRewrite } = action;
  if (prefixRewrite === '') return undefined;
  const { pathSpecifier } = match;
  // A prefix is replaced by itself; of exact paths and expressions the whole path was matched.
  if (pathSpecifier.case === 'prefix' || pathSpecifier.case === 'pathSeparatedPrefix') {
    const { length } = pathSpecifier.value;
    return (path) => withQuery(path, (plain) => prefixRewrite + plain.slice(length));
  }
  return (path) => withQuery(path, () => prefixRewrite);
}

function withQuery(path: string, change: (plain: string) => string): string {
  const plain = pathOnly(path);
  return change(plain) + path.slice(plain.length);
}

const redirectStatus: Readonly<Record<RedirectCode, number>> = {
  [RedirectCode.MOVED_PERMANENTLY]: 301,
  [RedirectCode.FOUND]: 302,
  [RedirectCode.SEE_OTHER]: 303,
  [RedirectCode.TEMPORARY_REDIRECT]: 307,
  [RedirectCode.PERMANENT_REDIRECT]: 308,
};

function compileRedirect(action: RedirectAction, responseHeaders: HeaderChange | undefined): RedirectTo {
  const { schemeRewriteSpecifier: scheme, pathRewriteSpecifier: path, hostRedirect, portRedirect, stripQuery } = action;
  if (path.case === 'prefixRewrite' || path.case === 'regexRewrite')
    throw new UnsupportedConfig(`redirect with ${path.case} is not supported`);
  return {
    kind: 'redirect',
    status: redirectStatus[action.responseCode],
    responseHeaders,
    locationOf: (request) => {
      const newScheme =
        scheme.case === 'schemeRedirect'
          ? scheme.value
          : scheme.case === 'httpsRedirect' && scheme.value
            ? 'https'
            : request.scheme;
      let host = hostRedirect === '' ? request.authority : hostRedirect;
      // A new scheme makes the default port of the old one wrong; a new port replaces any.
      if (portRedirect !== 0) host = `${withoutPort(host)}:${portRedirect}`;
      else if (newScheme !== request.scheme && host.endsWith(request.scheme === 'http' ? ':80' : ':443'))
        host = withoutPort(host);
      const query = stripQuery ? '' : request.path.slice(pathOnly(request.path).length);
      const newPath =
        path.case === 'pathRedirect'
          ? path.value + (path.value.includes('?') ? '' : query)
          : pathOnly(request.path) + query;
      return `${newScheme}://${host}${newPath}`;
    },
  };
}

function compileDirectResponse(
  { status, body }: DirectResponseAction,
  responseHeaders: HeaderChange | undefined,
  longestBody: number,
): DirectAnswer {
  const source = body?.specifier;
  if (source !== undefined && source.case !== 'inlineString' && source.case !== 'inlineBytes')
    throw new UnsupportedConfig(`a body from ${source.case ?? '(nothing)'} is not supported`);
  const content = source?.value ?? '';
  if (Buffer.byteLength(content) > longestBody)
    throw new UnsupportedConfig(`the body of a fixed answer is longer than ${longestBody} bytes`);
  return { kind: 'direct', status, body: content, responseHeaders };
}

function withoutPort(host: string): string {
  return host.replace(/:\d+$/, '');
}
