// HAProxy on both sides, one thread each: HTTP/1.1 or HTTP/2 between.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, startBoth, startProgram, whyNotOf, type Chain, type Pair, type Workspace } from '../pair.js';

const defaults = (mode: string) => `
global
  nbthread 1
defaults
  mode ${mode}
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  log 127.0.0.1:1514 local0
${mode === 'http' ? '  option http-keep-alive\n  http-reuse always\n  option httplog' : '  option tcplog'}
`;

/** What makes HTTP of bytes, at the client's side. */
const requestId = `
  unique-id-format %{+X}o%ci:%cp_%fi:%fp_%Ts_%rt:%pid
  unique-id-header X-Request-ID
  http-request add-header x-forwarded-proto http`;

function configs({ ca, client, server }: Workspace['certificates'], chain: Chain, alpn: string) {
  const isHttp = chain.protocol !== 'tcp';
  const plain = chain.protocol === 'http2' ? ' proto h2' : '';
  const next = isHttp ? ` alpn ${alpn}` : '';
  const between = isHttp ? ' alpn h2,http/1.1' : '';
  return {
    client: `${defaults(isHttp ? 'http' : 'tcp')}
frontend f
  bind 127.0.0.1:${chain.client}${plain}${isHttp ? requestId : ''}
  use_backend b
backend b
  server s 127.0.0.1:${chain.server} ssl crt ${client.both} ca-file ${ca} verify required${next}
`,
    server: `${defaults(isHttp ? 'http' : 'tcp')}
frontend f
  bind 127.0.0.1:${chain.server} ssl crt ${server.both} ca-file ${ca} verify required${between}${
    isHttp ? '\n  http-request set-header x-forwarded-client-cert %[ssl_c_s_dn]' : ''
  }
  use_backend b
backend b
  server s 127.0.0.1:${chain.backend}${plain}
`,
  };
}

function haproxy(name: string, alpn: string, between: string): Pair {
  return {
    name,
    what: `HAProxy on both sides, ${between} between`,
    whyMissing: () => (findProgram('haproxy') === undefined ? 'apt-get install haproxy' : undefined),
    whyNot: (protocol) => whyNotOf(alpn === 'h2', protocol),
    start: async ({ folder, certificates }, chain) => {
      const content = configs(certificates, chain, alpn);
      const start = (side: 'client' | 'server') => {
        const file = join(folder, `${name}-${side}.cfg`);
        writeFileSync(file, content[side]);
        return startProgram('haproxy', ['-f', file], folder);
      };
      return startBoth(chain, certificates, start('client'), start('server'));
    },
  };
}

export const haproxyHttp1 = haproxy('haproxy-h1', 'http/1.1', 'HTTP/1.1');
export const haproxyHttp2 = haproxy('haproxy-h2', 'h2', 'HTTP/2');
