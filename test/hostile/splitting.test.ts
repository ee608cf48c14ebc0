// What somebody else will read as structure: line ends in configured headers, and quotes and control characters in log lines
// (row 23).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exchangeRaw, request } from '../harness/http.js';
import { eventually, type TestMesh } from '../harness/mesh.js';
import { startHostileMesh } from './entrances.js';
import { RecordingUpstream } from './recording-upstream.js';

describe('text that becomes structure elsewhere', () => {
  let upstream: RecordingUpstream;
  let mesh: TestMesh;
  let port: number;

  before(async () => {
    upstream = await RecordingUpstream.start();
    mesh = await startHostileMesh(upstream);
    port = mesh.workload('client-0').upstreams['web']!;
  });
  after(async () => {
    await mesh?.close();
    upstream.close();
  });

  const route = (headers: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: split }
spec:
  hosts: [split.example]
  http: [{ route: [{ destination: { host: web } }], headers: ${headers} }]
`;

  for (const [what, headers] of [
    ['a line end in a value', '{ response: { set: { x-a: "b\\r\\nset-cookie: c" } } }'],
    ['a line feed in a value', '{ request: { add: { x-a: "b\\nx-b: c" } } }'],
    ['NUL in a value', '{ request: { set: { x-a: "b\\0c" } } }'],
    ['a line end in a name', '{ request: { set: { "x-a: b\\r\\nx-b": c } } }'],
    ['a space in a name to remove', '{ response: { remove: ["x a"] } }'],
    ['a Transfer-Encoding', '{ request: { set: { transfer-encoding: chunked } } }'],
    ['a Content-Length', '{ response: { set: { content-length: "5" } } }'],
  ] as const)
    it(`a rule that sets ${what} is refused or does not reach the wire`, async () => {
      mesh.write({ 'split.yaml': route(headers) });
      const found = await eventually(
        async () => (await mesh.diagnostics()).find(({ object }) => object.endsWith('/split')),
        'a diagnostic',
      ).catch(() => undefined);
      const answer = await exchangeRaw(
        mesh.workload('client-0').outboundHttp.port,
        'GET /split HTTP/1.1\r\nHost: split.example\r\nConnection: close\r\n\r\n',
      );
      if (found === undefined) assert.fail(`no diagnostic; it was answered ${JSON.stringify(answer)}`);
      assert.equal(found.severity, 'error');
      assert.match(answer, /^HTTP\/1\.1 404 /, 'nothing of the object is in force');
    });

  it('whatever a caller sends, a JSON log has one object a line', async () => {
    const agents = ['a"b', 'a\\"b', "{'x':1}", '\xff\xfe', '\u2028', 'a\tb', '\\u000a', '","response_code":"200'];
    for (const [i, agent] of agents.entries())
      await exchangeRaw(
        port,
        Buffer.from(
          `GET /log/${i} HTTP/1.1\r\nHost: web\r\nUser-Agent: ${agent}\r\nX-Forwarded-For: ${agent}\r\nConnection: close\r\n\r\n`,
          'latin1',
        ),
      );
    await request({ port, path: '/log/end' });
    const log = await eventually(() => {
      const text = readFileSync(join(mesh.directory, 'access.log'), 'utf8');
      return text.includes('/log/end') ? text : undefined;
    }, 'the log');
    const lines = log
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    for (const [i, agent] of agents.entries()) {
      const line = lines.find(({ path }) => path === `/log/${i}`);
      assert.ok(line, `a line for ${agent}`);
      assert.equal(line['response_code'], 200);
      assert.equal(Object.keys(line).length, Object.keys(lines[0]!).length, agent);
    }
  });
});
