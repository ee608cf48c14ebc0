// Which VirtualService owns a host as a client sees it, and which of its rules and matches are meant for that client.
import type { VirtualService } from '../api/kinds.js';
import type { HttpMatch } from '../api/virtual-service.js';
import { compareSpecificity, hostMatches, resolveHost } from '../model/host.js';
import type { Snapshot } from '../model/snapshot.js';
import { isVisibleIn } from '../model/visibility.js';
import { matchesLabels } from '../model/workload.js';

/** What compiling outbound routes needs to know of the proxy that will use them. */
export interface Client {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Whether the mesh's sidecars, and among them those of `namespace`, see the object. */
export function appliesInMesh(virtualService: VirtualService, namespace: string): boolean {
  return isVisibleIn(namespace, virtualService.namespace, virtualService.spec.exportTo);
}

/** Hosts of the object in full. */
export function hostsOf(virtualService: VirtualService): string[] {
  return virtualService.spec.hosts.map((host) => resolveHost(host, virtualService.namespace));
}

/**
 * The VirtualServices with rules for HTTP that claim `host` for clients in `namespace`: the most specific host first, and of
 * equals the oldest. The first that has a rule for the client owns the host, as in Istio.
 */
export function claimingVirtualServices(snapshot: Snapshot, host: string, namespace: string): VirtualService[] {
  const claims: { readonly owner: VirtualService; readonly host: string }[] = [];
  for (const owner of snapshot.virtualServices) {
    if (owner.spec.http === undefined || !appliesInMesh(owner, namespace)) continue;
    const [closest] = hostsOf(owner)
      .filter((pattern) => hostMatches(pattern, host))
      .sort(compareSpecificity);
    if (closest !== undefined) claims.push({ owner, host: closest });
  }
  // The order among equals stays: the oldest first.
  return claims.sort((a, b) => compareSpecificity(a.host, b.host)).map(({ owner }) => owner);
}

/**
 * Why a match is not meant for the client on that port, or undefined where it is. Istio decides these conditions when it
 * compiles; where `gateways` is set it looks at neither source condition.
 */
export function whyMatchIsNotFor(match: HttpMatch, client: Client, port: number): string | undefined {
  if (match.port !== undefined && match.port !== port) return `it is for port ${match.port}`;
  if (match.gateways !== undefined && match.gateways.length > 0)
    return match.gateways.includes('mesh') ? undefined : `it is for the gateways ${match.gateways.join(', ')}`;
  return whySourceIsNot(match, client);
}

/** Why a match on where calls come from is not for the client. */
export function whySourceIsNot(
  match: Pick<HttpMatch, 'sourceNamespace' | 'sourceLabels'>,
  client: Client,
): string | undefined {
  if (match.sourceNamespace !== undefined && match.sourceNamespace !== '' && match.sourceNamespace !== client.namespace)
    return `it is for callers in namespace ${match.sourceNamespace}`;
  if (match.sourceLabels !== undefined && !matchesLabels(client.labels, match.sourceLabels))
    return `it is for callers with other labels (${Object.entries(match.sourceLabels)
      .map((pair) => pair.join('='))
      .join(', ')})`;
  return undefined;
}
