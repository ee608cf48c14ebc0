// Connections of bytes go where the TCP rules of VirtualServices say, divided by weight, and follow when rules change.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { exchangeRaw, requestEcho } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

const lines = (greeting: string) =>
  `command: ${JSON.stringify(app('line-server.mjs'))}, env: { GREETING: ${greeting} }`;

const meshFile = `
services:
  db: { port: 5432, protocol: tcp, versions: { v1: { ${lines('v1')} }, v2: { ${lines('v2')} } } }
  detected: { port: 6379, command: ${JSON.stringify(app('echo.mjs'))}, env: { NAME: detected } }
  by-caller: { port: 7000, protocol: tcp, ${lines('own')} }
  client: { command: sleep 1000, labels: { tier: gold } }
  plain: { command: sleep 1000 }
`;

const rules = (weights: readonly [number, number]) => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: db }
spec: { host: db, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: db }
spec:
  hosts: [db]
  tcp:
    - match: [{ port: 5433 }]
      route: [{ destination: { host: nowhere } }]
    - route:
        - { destination: { host: db, subset: v1 }, weight: ${weights[0]} }
        - { destination: { host: db, subset: v2 }, weight: ${weights[1]} }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: detected }
spec:
  hosts: [detected]
  tcp: [{ route: [{ destination: { host: db, subset: v2, port: { number: 5432 } } }] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: by-caller }
spec:
  hosts: [by-caller]
  tcp:
    - match: [{ sourceLabels: { tier: gold }, port: 7000 }]
      route: [{ destination: { host: db, subset: v1, port: { number: 5432 } } }]
`;

describe('rules for bytes', () => {
  let mesh: TestMesh;
  before(async () => {
    mesh = await TestMesh.start({ 'mesh.yaml': meshFile, 'rules.yaml': rules([1, 3]) });
  });
  after(() => mesh.close());

  /** Who greets a new connection. */
  const greeterOf = async (service: string, from = 'client-0') =>
    (await exchangeRaw(mesh.workload(from).upstreams[service]!, 'x\n', { halfClose: true })).split('\n')[0];

  it('connections are divided by weight', async () => {
    const total = 200;
    let first = 0;
    for (let i = 0; i < total; i++) if ((await greeterOf('db')) === 'v1') first++;
    assert.ok(
      Math.abs(first - total / 4) < 5 * Math.sqrt(total * 0.25 * 0.75),
      `${first} of ${total} at weight 1 of 4`,
    );
    await eventually(
      async () =>
        sumOf(await scrape(mesh.run.url), 'istio_tcp_connections_opened_total', {
          reporter: 'destination',
          destination_workload: 'db-v1',
        }) === first,
      'the connections are counted where they went',
    );
  });

  it('on a detected port they hold for bytes and leave requests alone', async () => {
    assert.equal(await greeterOf('detected'), 'v2');
    assert.equal((await requestEcho({ port: mesh.workload('client-0').upstreams['detected']! })).name, 'detected');
  });

  it('the caller decides, and without a rule for it the service itself is called', async () => {
    assert.equal(await greeterOf('by-caller'), 'v1');
    assert.equal(await greeterOf('by-caller', 'plain-0'), 'own');
  });

  it('a CONNECT to the service takes the same rules', async () => {
    const { port } = mesh.workload('client-0').outboundHttp;
    const answer = await exchangeRaw(port, 'CONNECT by-caller:7000 HTTP/1.1\r\nHost: by-caller:7000\r\n\r\nx\n', {
      halfClose: true,
    });
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n\r\nv1\nX\nbye\n$/);
  });

  it('new weights hold for new connections, and open ones stay', async () => {
    mesh.write({ 'rules.yaml': rules([1, 0]) });
    await eventually(async () => {
      const greeters = new Set<string | undefined>();
      for (let i = 0; i < 15; i++) greeters.add(await greeterOf('db'));
      return greeters.size === 1 && greeters.has('v1'); // by chance before: one in 10^9
    }, 'the rules are in force');
    const socket = net.connect(mesh.workload('client-0').upstreams['db']!, '127.0.0.1');
    const received: string[] = [];
    socket.on('data', (data) => received.push(data.toString()));
    await eventually(() => received.join('') === 'v1\n', 'the greeting');
    mesh.write({ 'rules.yaml': rules([0, 1]) });
    await eventually(async () => (await greeterOf('db')) === 'v2', 'the new rules are in force');
    socket.write('still\n');
    await eventually(() => received.join('') === 'v1\nSTILL\n', 'the open connection works on');
    socket.destroy();
  });
});
