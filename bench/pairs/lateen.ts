// Our pair: a mesh of two workloads, each with a data-plane process of its own, with everything on that a mesh has by default.
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { authorityOf, issue } from '../../test/harness/certificates.js';
import { endWithThis, stopProgram, waitForPort, type Chain, type Pair } from '../pair.js';

const program = join(dirname(fileURLToPath(import.meta.url)), '../../src/main.js');

const meshOf = ({ protocol, client, server, backend }: Chain) => `
meshConfig: { accessLogFile: /dev/null }
control: { httpPort: 0 }
services:
  web: { port: 80, protocol: ${{ http1: 'http', http2: 'grpc', tcp: 'tcp' }[protocol]}, address: "127.0.0.1:${backend}", inboundPort: ${server} }
  client: { command: sleep 100000, upstreams: { web: ${client} } }
`;

const objectsOf = ({ protocol }: Chain) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  ${protocol === 'tcp' ? 'tcp' : 'http'}:
    - route:
        - { destination: { host: web, subset: v1 }, weight: 95 }
        - { destination: { host: web, subset: v2 }, weight: 5 }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web }
spec:
  host: web
  subsets: [{ name: v1, labels: { app: web } }, { name: v2, labels: { app: web } }]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  rules: [{ from: [{ source: { principals: [cluster.local/ns/default/sa/client] } }] }]
`;

interface RunFile {
  readonly workloads: readonly { readonly name: string; readonly proxyPid: number | null }[];
}

export const lateen: Pair = {
  name: 'lateen',
  what: 'Lateen on both sides (--isolate)',
  whyMissing: () => undefined,
  whyNot: () => undefined,
  start: async ({ folder }, chain) => {
    const directory = join(folder, `lateen-${chain.client}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'mesh.yaml'), meshOf(chain));
    writeFileSync(join(directory, 'objects.yaml'), objectsOf(chain));
    const child = endWithThis(
      spawn(process.execPath, [program, 'up', '--isolate', directory], { stdio: ['ignore', 'pipe', 'inherit'] }),
    );
    try {
      await untilReady(child);
      await waitForPort(chain.client, child);
    } catch (error) {
      await stopProgram(child);
      throw error;
    }
    const run = JSON.parse(readFileSync(join(directory, '.lateen/run.json'), 'utf8')) as RunFile;
    const proxyOf = (name: string) => run.workloads.find((workload) => workload.name === name)!.proxyPid!;
    return {
      client: [proxyOf('client-0')],
      server: [proxyOf('web-0')],
      callerCredentials: async () =>
        issue(await authorityOf(directory), ['spiffe://cluster.local/ns/default/sa/client']),
      stop: () => stopProgram(child),
    };
  },
};

function untilReady(child: ChildProcessByStdio<null, Readable, null>): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      if (/^ready /m.test(output)) resolve();
    });
    child.once('exit', (code) => reject(new Error(`lateen up ended with code ${code}:\n${output}`)));
  });
}
