// Our pair: a mesh of two workloads, each with a data-plane process of its own, with everything on that a mesh has by default.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ports, stopProgram, waitForPort, type Pair } from '../pair.js';

const program = join(dirname(fileURLToPath(import.meta.url)), '../../src/main.js');

const mesh = `
meshConfig: { accessLogFile: /dev/null }
control: { httpPort: 0 }
services:
  web: { port: 80, protocol: http, address: "127.0.0.1:${ports.backend}", inboundPort: ${ports.server} }
  client: { command: sleep 100000, upstreams: { web: ${ports.client} } }
`;

const objects = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http:
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
  start: async ({ folder }) => {
    const directory = join(folder, 'lateen');
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'mesh.yaml'), mesh);
    writeFileSync(join(directory, 'objects.yaml'), objects);
    const child = spawn(process.execPath, [program, 'up', '--isolate', directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise<void>((resolve, reject) => {
      let output = '';
      child.stdout.on('data', (data: Buffer) => {
        output += data.toString();
        if (/^ready /m.test(output)) resolve();
      });
      child.once('exit', (code) => reject(new Error(`lateen up ended with code ${code}:\n${output}`)));
    });
    await waitForPort(ports.client, child);
    const run = JSON.parse(readFileSync(join(directory, '.lateen/run.json'), 'utf8')) as RunFile;
    const proxyOf = (name: string) => run.workloads.find((workload) => workload.name === name)!.proxyPid!;
    return { client: [proxyOf('client-0')], server: [proxyOf('web-0')], stop: () => stopProgram(child) };
  },
};
