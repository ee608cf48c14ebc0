// The three places where HTTP comes into a mesh: a workload's port for all hosts, its port for one service, and the port of
// the called workload, over mTLS.
import net, { type Socket } from 'node:net';
import tls from 'node:tls';
import { authorityOf, issue } from '../harness/certificates.js';
import { TestMesh, type MeshOptions } from '../harness/mesh.js';
import type { RecordingUpstream } from './recording-upstream.js';
import type { Entrance } from './run-case.js';

/** A mesh of one service that is the recording server, and one caller. */
export async function startHostileMesh(upstream: RecordingUpstream, options: MeshOptions = {}): Promise<TestMesh> {
  return TestMesh.start(
    {
      'mesh.yaml': `
meshConfig: { accessLogFile: access.log, accessLogEncoding: JSON }
services:
  web: { port: 8080, protocol: http, address: "127.0.0.1:${upstream.port}" }
  client: { command: sleep 1000 }
`,
      // One attempt is one attempt: what a server answers is what is seen.
      'routes.yaml': `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http: [{ route: [{ destination: { host: web } }], retries: { attempts: 0 } }]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`,
    },
    options,
  );
}

export async function entrancesOf(mesh: TestMesh): Promise<Entrance[]> {
  const client = mesh.workload('client-0');
  const inbound = mesh.workload('web-0').inbound!.port;
  const credentials = await issue(await authorityOf(mesh.directory), ['spiffe://cluster.local/ns/default/sa/client']);
  return [
    { name: 'outbound', host: 'web', connect: () => connectTo(client.outboundHttp.port) },
    { name: 'port of a service', host: 'web', connect: () => connectTo(client.upstreams['web']!) },
    { name: 'inbound', host: 'web', connect: () => connectTls(inbound, credentials) },
  ];
}

export function connectTo(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true }, () => resolve(socket));
    socket.once('error', reject);
  });
}

function connectTls(port: number, { key, cert }: { key: string; cert: string }): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect(
      {
        socket: net.connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true }),
        key,
        cert,
        rejectUnauthorized: false,
        servername: 'outbound_.8080_._.web.default.svc.cluster.local',
      },
      () => resolve(socket),
    );
    socket.allowHalfOpen = true;
    socket.once('error', reject);
  });
}
