// The modes of PeerAuthentication on a running mesh: who may come without a certificate, on every level.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { authorityOf, issue, tryRequest } from '../harness/certificates.js';
import { request, requestEcho } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';

const echo = JSON.stringify(app('echo.mjs'));
const policy = (name: string, namespace: string, spec: string) => `
---
apiVersion: security.istio.io/v1beta1
kind: PeerAuthentication
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
`;

describe('PeerAuthentication', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `
services:
  web: { namespace: shop, port: 8080, protocol: http, command: ${echo}, env: { NAME: web } }
  api: { namespace: shop, ports: [{ name: main, port: 9090, protocol: http }, { name: side, port: 9091, protocol: http }], command: ${JSON.stringify(app('two-listeners.mjs'))}, labels: { tier: api } }
  other: { namespace: other, port: 8081, protocol: http, command: ${echo}, env: { NAME: other } }
  client: { namespace: shop, command: sleep 1000 }
`,
    });
  });
  after(() => mesh.close());

  const takesPlaintext = async (name: string, port?: number) => {
    const entry = mesh.workload(name);
    return request({ port: port ?? entry.inbound!.port, path: '/status/200', headers: { host: 'x' } }).then(
      ({ status }) => status === 200,
      () => false,
    );
  };
  const becomes = (expected: Readonly<Record<string, boolean>>) =>
    eventually(
      async () => {
        for (const [name, wanted] of Object.entries(expected))
          if ((await takesPlaintext(name)) !== wanted) return false;
        return true;
      },
      `plaintext: ${JSON.stringify(expected)}`,
    );
  const viaMesh = async (service: string) =>
    (await request({ port: mesh.workload('client-0').upstreams[service]!, path: '/status/200' })).status;
  const secured = async (service: string) =>
    (await requestEcho({ port: mesh.workload('client-0').upstreams[service]! })).headers['x-forwarded-client-cert'] !==
    undefined;

  it('without any, plaintext is taken, and workloads still speak mTLS', async () => {
    await becomes({ 'web-0': true, 'other-0': true });
    assert.equal(await secured('web'), true);
  });

  it('for the mesh: nobody takes plaintext', async () => {
    mesh.write({ 'policies.yaml': policy('default', 'istio-system', '{ mtls: { mode: STRICT } }') });
    await becomes({ 'web-0': false, 'other-0': false });
    assert.equal(await viaMesh('web'), 200);
    assert.equal(await viaMesh('other.other'), 200);
  });

  it('a namespace outweighs the mesh, a workload the namespace, a port the workload', async () => {
    mesh.write({
      'policies.yaml':
        policy('default', 'istio-system', '{ mtls: { mode: STRICT } }') +
        policy('default', 'shop', '{ mtls: { mode: PERMISSIVE } }') +
        policy(
          'api',
          'shop',
          '{ selector: { matchLabels: { tier: api } }, mtls: { mode: STRICT }, portLevelMtls: { "9091": { mode: PERMISSIVE } } }',
        ),
    });
    await becomes({ 'web-0': true, 'other-0': false, 'api-0': false });
    const side = (await workloadPort('api-0', 9091))!;
    assert.equal(await takesPlaintext('api-0', side), true);
    for (const service of ['web', 'api', 'other.other']) assert.equal(await viaMesh(service), 200);
  });

  it('DISABLE takes plaintext only, and callers of the mesh send it', async () => {
    mesh.write({ 'policies.yaml': policy('default', 'shop', '{ mtls: { mode: DISABLE } }') });
    await eventually(async () => !(await secured('web')), 'plaintext to web');
    assert.equal(await takesPlaintext('web-0'), true);
    const good = await issue(await authorityOf(mesh.directory), ['spiffe://cluster.local/ns/shop/sa/client']);
    assert.equal((await tryRequest(mesh.workload('web-0').inbound!.port, good)).answer, '');
    assert.equal(await secured('other.other'), true);
  });

  it('UNSET inherits', async () => {
    mesh.write({
      'policies.yaml':
        policy('default', 'istio-system', '{ mtls: { mode: STRICT } }') +
        policy('default', 'shop', '{ mtls: { mode: UNSET } }'),
    });
    await becomes({ 'web-0': false, 'other-0': false });
  });

  it('the oldest of a level counts', async () => {
    mesh.write({
      'policies.yaml':
        policy('a', 'shop', '{ mtls: { mode: PERMISSIVE } }') + policy('b', 'shop', '{ mtls: { mode: STRICT } }'),
    });
    await becomes({ 'web-0': true });
  });

  it('a selector in the root namespace has no effect and says so', async () => {
    mesh.write({
      'policies.yaml': policy(
        'tier',
        'istio-system',
        '{ selector: { matchLabels: { app: web } }, mtls: { mode: STRICT } }',
      ),
    });
    await eventually(
      async () =>
        (await mesh.diagnostics()).some(
          ({ code, message }) => code === 'LAT0007' && message.includes('selector in the root namespace'),
        ),
      'the diagnostic',
    );
    await becomes({ 'web-0': true });
  });

  /** Inbound port of a further port of a workload: the endpoint of its cluster. */
  async function workloadPort(name: string, servicePort: number): Promise<number | undefined> {
    const base = mesh.workload(name).inbound!.port;
    // Ports of one workload are handed out in turn: inbound and application for each.
    for (let port = base + 1; port < base + 10; port++)
      if (await takesPlaintext(name, port).then((taken) => taken && port !== mesh.workload(name).app!.port))
        return servicePort > 0 ? port : undefined;
    return undefined;
  }
});
