// Runs where a connection can have few ports of its own (test/resilience/spent-ports.test.ts): takes more of them than there are
// for the way between two proxies, gives them back, and prints what came of its requests as JSON.
import { request } from './http.js';
import { app, eventually, TestMesh } from './mesh.js';
import { scrape } from './metrics.js';

export interface SpentPorts {
  /** Of requests at a time, more than there are ports: how often each status came. */
  readonly together: Readonly<Record<string, number>>;
  /** One body of those that failed. */
  readonly refusal: string;
  /** Requests counted with the flag UF. */
  readonly counted: number;
  /** Of requests one after the other when the ports were free again. */
  readonly afterwards: Readonly<Record<string, number>>;
  /** What the mesh said of processes that ended. */
  readonly crashes: string;
}

function tally(values: readonly number[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

const mesh = await TestMesh.start({
  'mesh.yaml': `
services:
  web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }
  client: { command: sleep 1000 }
`,
});
try {
  const { upstreams, outboundHttp } = mesh.workload('client-0');
  // By two entrances, so that the ports on this side suffice.
  const call = (i: number, path: string) =>
    request({ port: i % 2 === 0 ? upstreams['web']! : outboundHttp.port, path, headers: { host: 'web' } });
  const count = Number(process.argv[2]);
  const answers = await Promise.all(Array.from({ length: count }, (_, i) => call(i, '/delay/2000')));
  const failed = answers.filter(({ status }) => status === 503).length;
  // Each at the proxy that found no port, with UO too where it was not tried again.
  const counted = await eventually(async () => {
    const counts = (await scrape(mesh.run.url)).filter(
      ({ name, labels }) => name === 'istio_requests_total' && /\bUF\b/.test(labels['response_flags']!),
    );
    const sum = counts.reduce((total, { value }) => total + value, 0);
    return sum >= failed && sum;
  }, 'what failed is counted');
  const afterwards: number[] = [];
  await eventually(async () => (await call(0, '/status/200')).status === 200, 'room');
  for (let i = 0; i < 100; i++) afterwards.push((await call(i, '/status/200')).status);
  const result: SpentPorts = {
    together: tally(answers.map(({ status }) => status)),
    refusal: answers.find(({ status }) => status !== 200)?.body ?? '',
    counted,
    afterwards: tally(afterwards),
    crashes: /.*it ended with.*/.exec(mesh.output)?.[0] ?? '',
  };
  process.stdout.write(JSON.stringify(result));
} finally {
  await mesh.close();
}
