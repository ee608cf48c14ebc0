// Listeners of a proxy in a few words: which connections they take, what becomes of those, what was learned of their ports.
import { anyUnpack, type Any } from '@bufbuild/protobuf/wkt';
import type { ChainView, ListenerView } from '../../admin/proxy-config-view.js';
import type { ListenerPort } from '../../compile/listener-ports.js';
import type { LearnedPort } from '../../telemetry/learned-ports.js';
import {
  HttpConnectionManagerSchema,
  TcpProxySchema,
  TrafficDirection,
  type FilterChain,
  type Listener,
} from '../../xds/messages.js';
import { formatAddress, formatWeights } from './upstream-views.js';

/** @param place the port for which it stands; undefined for the listener of every HTTP host */
export function viewListener(
  listener: Listener,
  place: ListenerPort | undefined,
  learned: readonly LearnedPort[],
): Omit<ListenerView, 'resource'> {
  const declared = place?.port.protocol ?? null;
  const known = declared === 'detect' ? learned.find(({ listener: name }) => name === listener.name) : undefined;
  return {
    name: listener.name,
    address: formatAddress(listener.address),
    direction: listener.trafficDirection === TrafficDirection.INBOUND ? 'inbound' : 'outbound',
    service: place?.service.host ?? null,
    port: place?.port.port ?? null,
    declared,
    learned: known?.protocol ?? null,
    since: known === undefined ? null : new Date(known.sinceMs).toISOString(),
    chains: listener.filterChains.map(viewChain),
  };
}

function viewChain(chain: FilterChain): ChainView {
  const { transportProtocol = '', applicationProtocols = [] } = chain.filterChainMatch ?? {};
  const transport =
    chain.transportSocket !== undefined
      ? 'mTLS'
      : transportProtocol === 'tls'
        ? 'TLS of the applications'
        : 'plaintext';
  const [first, ...more] = applicationProtocols;
  const names = first === undefined ? '' : ` ${first}${more.length === 0 ? '' : ` +${more.length}`}`;
  const config = chain.filters.at(-1)?.configType;
  return { match: transport + names, ...viewFilter(config?.case === 'typedConfig' ? config.value : undefined) };
}

function viewFilter(config: Any | undefined): Pick<ChainView, 'carries' | 'to'> {
  const manager = config && anyUnpack(config, HttpConnectionManagerSchema);
  if (manager !== undefined) {
    const { routeSpecifier: routes } = manager;
    const name = routes.case === 'rds' ? routes.value.routeConfigName : routes.value?.name;
    return { carries: 'HTTP', to: routes.case === 'rds' ? `routes ${name}` : (name ?? '') };
  }
  const proxy = config && anyUnpack(config, TcpProxySchema);
  const clusters = proxy?.clusterSpecifier;
  if (clusters?.case === 'weightedClusters') return { carries: 'bytes', to: formatWeights(clusters.value.clusters) };
  return { carries: 'bytes', to: clusters?.value ?? '' };
}
