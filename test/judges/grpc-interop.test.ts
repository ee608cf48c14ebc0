// gRPC's own interop client and server on both sides of a pair of proxies: its fourteen cases, first without a proxy to see that
// the judge works, then through services whose port is declared as gRPC, and through one that is not declared.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ChildProcess } from 'node:child_process';
import { request } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';
import { freePort } from '../hostile/peers.js';
import { strictMtls } from './mesh-objects.js';
import { commandOf, runTool, requireTools, skipWithout, startTool } from './peers.js';
import net from 'node:net';

const cases = [
  'empty_unary',
  'large_unary',
  'client_streaming',
  'server_streaming',
  'ping_pong',
  'empty_stream',
  'timeout_on_sleeping_server',
  'cancel_after_begin',
  'cancel_after_first_response',
  'custom_metadata',
  'status_code_and_message',
  'special_status_message',
  'unimplemented_method',
  'unimplemented_service',
] as const;

async function interop(port: number, name: string): Promise<void> {
  const args = ['--server_host', '127.0.0.1', '--server_port', String(port), '--test_case', name, '--use_tls=false'];
  const { code, stderr } = await runTool('grpc-client', args, { withinMs: 60_000 });
  assert.equal(code, 0, stderr.slice(-2000));
  assert.match(stderr, /\[interop\] \w+ done/i);
}

it('gRPC interop: the judge is there', { skip: skipWithout('grpc-client', 'grpc-server') }, () =>
  requireTools('grpc-client', 'grpc-server'),
);

describe('gRPC interop', { skip: skipWithout('grpc-client', 'grpc-server') }, () => {
  let mesh: TestMesh;
  let direct: ChildProcess;
  let directPort: number;

  before(async () => {
    directPort = await freePort();
    direct = startTool('grpc-server', ['--port', String(directPort)], { stdio: 'ignore' });
    const server = JSON.stringify(commandOf('grpc-server', '--port', '$PORT'));
    mesh = await TestMesh.start({
      'mesh.yaml': `
services:
  declared: { port: 50051, protocol: grpc, command: ${server} }
  detected: { port: 50052, command: ${server} }
  other: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }
  client: { command: sleep 1000 }
`,
      'strict.yaml': strictMtls,
    });
    await eventually(() => accepts(directPort), 'the server without a proxy');
  });
  after(async () => {
    direct?.kill('SIGKILL');
    await mesh?.close();
  });

  for (const name of cases) it(`without a proxy: ${name}`, () => interop(directPort, name));
  for (const service of ['declared', 'detected'])
    for (const name of cases)
      it(`through the pair, ${service}: ${name}`, () => interop(mesh.workload('client-0').upstreams[service]!, name));

  it('a server that knows nothing of it fails the client, so the judge judges', () =>
    assert.rejects(interop(mesh.workload('client-0').upstreams['other']!, 'empty_unary'), /interop|rpc error/));

  it('is counted by gRPC status on both sides, over mTLS', async () => {
    await eventually(async () => {
      const samples = await scrape(mesh.run.url);
      return ['source', 'destination'].every((reporter) =>
        ['0', '2', '12'].every(
          (grpc_response_status) =>
            sumOf(samples, 'istio_requests_total', {
              reporter,
              destination_workload: 'declared',
              request_protocol: 'grpc',
              connection_security_policy: reporter === 'source' ? 'unknown' : 'mutual_tls',
              grpc_response_status,
            }) > 0,
        ),
      );
    }, 'OK, UNKNOWN and UNIMPLEMENTED in the metrics');
  });

  it('a gRPC port still answers HTTP/1.1 callers in words', async () => {
    const { status } = await request({ port: mesh.workload('client-0').upstreams['declared']!, path: '/' });
    assert.ok(status >= 400, String(status));
  });
});

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
