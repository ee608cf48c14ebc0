// nginx on both sides: HTTP/1.1 between; the server checks the authority of the caller, and nobody checks identities, because
// nginx compares host names alone.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, startBoth, startProgram, type Pair } from '../pair.js';

/** Under root, workers would be another user's, who may not read the folder. */
const head = (folder: string, name: string) => `
${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; worker_processes 1; pid ${folder}/${name}.pid; error_log ${folder}/${name}.err crit;
events { worker_connections 4096; }
`;
const temporary = (folder: string) =>
  ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${folder}/tmp_${kind};`)
    .join(' ');

/** Starts nginx with the body of its http block. */
export function startNginx(folder: string, name: string, http: string) {
  const file = join(folder, `${name}.conf`);
  writeFileSync(
    file,
    `${head(folder, name)}http { ${temporary(folder)} keepalive_requests 100000000; keepalive_timeout 3600s; ${http} }\n`,
  );
  return startProgram('nginx', ['-c', file, '-p', folder], folder);
}

export const nginx: Pair = {
  name: 'nginx',
  what: 'nginx on both sides, HTTP/1.1 between',
  whyMissing: () => (findProgram('nginx') === undefined ? 'apt-get install nginx-light' : undefined),
  whyNot: (protocol) =>
    ({ http1: undefined, http2: 'it speaks HTTP/1.1 to servers', tcp: 'its stream module is not configured here' })[
      protocol
    ],
  start: async ({ folder, certificates }, chain) => {
    const { ca, client, server } = certificates;
    return startBoth(
      chain,
      certificates,
      startNginx(
        folder,
        'nginx-client',
        `access_log /dev/null;
upstream next { server 127.0.0.1:${chain.server}; keepalive 256; keepalive_requests 100000000; }
server { listen 127.0.0.1:${chain.client}; location / {
  proxy_pass https://next; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Request-ID $request_id;
  proxy_ssl_certificate ${client.cert}; proxy_ssl_certificate_key ${client.key}; proxy_ssl_protocols TLSv1.3; proxy_ssl_session_reuse on; } }`,
      ),
      startNginx(
        folder,
        'nginx-server',
        `access_log /dev/null;
upstream app { server 127.0.0.1:${chain.backend}; keepalive 256; keepalive_requests 100000000; }
server { listen 127.0.0.1:${chain.server} ssl;
  ssl_certificate ${server.cert}; ssl_certificate_key ${server.key}; ssl_client_certificate ${ca}; ssl_verify_client on;
  ssl_protocols TLSv1.3;
  location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header x-forwarded-client-cert $ssl_client_s_dn; } }`,
      ),
    );
  },
};
