// HAProxy on both sides, one thread each: HTTP/1.1 or HTTP/2 between.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, ports, startBoth, startProgram, type Pair } from '../pair.js';

const defaults = `
global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  http-reuse always
  log 127.0.0.1:1514 local0
  option httplog
`;

function haproxy(name: string, alpn: string, between: string): Pair {
  return {
    name,
    what: `HAProxy on both sides, ${between} between`,
    whyMissing: () => (findProgram('haproxy') === undefined ? 'apt-get install haproxy' : undefined),
    start: async ({ folder, certificates: { ca, client, server } }) => {
      const start = (file: string, content: string) => {
        writeFileSync(join(folder, file), defaults + content);
        return startProgram('haproxy', ['-f', join(folder, file)], folder);
      };
      return startBoth(
        start(
          `${name}-client.cfg`,
          `frontend f
  bind 127.0.0.1:${ports.client}
  unique-id-format %{+X}o%ci:%cp_%fi:%fp_%Ts_%rt:%pid
  unique-id-header X-Request-ID
  http-request add-header x-forwarded-proto http
  use_backend b
backend b
  server s 127.0.0.1:${ports.server} ssl crt ${client.both} ca-file ${ca} verify required alpn ${alpn}
`,
        ),
        start(
          `${name}-server.cfg`,
          `frontend f
  bind 127.0.0.1:${ports.server} ssl crt ${server.both} ca-file ${ca} verify required alpn h2,http/1.1
  http-request set-header x-forwarded-client-cert %[ssl_c_s_dn]
  use_backend b
backend b
  server s 127.0.0.1:${ports.backend}
`,
        ),
      );
    },
  };
}

export const haproxyHttp1 = haproxy('haproxy-h1', 'http/1.1', 'HTTP/1.1');
export const haproxyHttp2 = haproxy('haproxy-h2', 'h2', 'HTTP/2');
