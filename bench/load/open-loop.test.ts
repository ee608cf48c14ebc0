// The open loop keeps to its rate and comes to an end, whatever the server does.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { it } from 'node:test';
import { runOpenLoop } from './open-loop.js';

async function withServer(answer: http.RequestListener, use: (port: number) => Promise<void>): Promise<void> {
  const server = http.createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await use((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

it('an open loop sends what its rate asks for, besides one request of each connection, and reads whole answers', async () => {
  let asked = 0;
  await withServer(
    (_, response) => {
      asked++;
      const body = Buffer.alloc(100_000);
      response.writeHead(200, { 'content-length': body.length }).end(body);
    },
    async (port) => {
      const result = await runOpenLoop({ port, path: '/', connections: 3, rate: 500, seconds: 0.2 });
      assert.deepEqual([result.requests, result.errors], [100, 0]);
      assert.equal(asked, 103);
      assert.ok(result.p50Micros > 0 && result.p99Micros >= result.p50Micros);
    },
  );
});

it('an open loop counts refusals and broken connections as errors and comes to an end', async () => {
  let asked = 0;
  await withServer(
    (request, response) => {
      asked++;
      if (asked === 5) request.socket.destroy();
      else response.writeHead(asked < 5 ? 200 : 503, { 'content-length': 0 }).end();
    },
    async (port) => {
      const result = await runOpenLoop({ port, path: '/', connections: 2, rate: 500, seconds: 0.1 });
      // Two open the connections and two more are good; then one breaks off and all others are refused.
      assert.deepEqual([result.requests, result.errors], [50, 48]);
    },
  );
});
