// The admin API and the status page on loopback. It answers browsers and tools of this machine and nobody else: the Host
// header must be a loopback name, so that a page from outside cannot read it through a name that it controls.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { messageOf } from '../util/errors.js';
import { createRoutes, type AdminResponse } from './routes.js';
import type { MeshView } from './mesh-view.js';

const allowedHosts = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/** Serves the API on 127.0.0.1; tries the ports in their order. */
export async function startAdminServer(
  view: MeshView,
  ports: readonly number[],
): Promise<{ server: Server; port: number }> {
  const routes = createRoutes(view);
  const server = createServer(
    { requestTimeout: 10_000, headersTimeout: 5000 },
    (request, response) => void answer(request, response, routes),
  );
  let lastError: Error | undefined;
  for (const port of ports) {
    try {
      return { server, port: await listen(server, port) };
    } catch (error) {
      lastError = error as Error;
    }
  }
  throw lastError ?? new Error('no port to listen on');
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(error);
    server.once('error', onError);
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      server.off('error', onError);
      resolve((server.address() as { port: number }).port);
    });
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  routes: ReturnType<typeof createRoutes>,
): Promise<void> {
  let result: AdminResponse;
  try {
    if (!allowedHosts.test(request.headers.host ?? ''))
      result = text(403, 'this address is for this machine only; call it as localhost or 127.0.0.1\n');
    else if (request.method !== 'GET' && request.method !== 'HEAD') result = text(405, 'only GET is answered here\n');
    else result = await routes(new URL(request.url ?? '/', 'http://localhost'));
  } catch (error) {
    result = text(500, `${messageOf(error)}\n`);
  }
  response.writeHead(result.status, {
    'content-type': result.contentType,
    'content-length': Buffer.byteLength(result.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    // The page is one document with its style and script inside, named here by hash: nothing else may run.
    'content-security-policy': result.policy ?? "default-src 'none'",
    'referrer-policy': 'no-referrer',
  });
  response.end(request.method === 'HEAD' ? undefined : result.body);
}

function text(status: number, body: string): AdminResponse {
  return { status, contentType: 'text/plain; charset=utf-8', body };
}
