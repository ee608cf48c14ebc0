// Connections of which one side ends before the other, through both proxies: each direction carries all that was said in it, over
// mTLS and in plaintext, on declared and on detected ports, before and after the policies for it have changed.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { exchangeRaw } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';

const lines = JSON.stringify(app('line-server.mjs'));
const brief = JSON.stringify(app('brief-server.mjs'));
const many = 300_000;

/** Plaintext is what a DestinationRule asks for; both sides allow it. */
const objects = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: plain }
spec: { host: '*.plain.svc.cluster.local', exportTo: ['*'], trafficPolicy: { tls: { mode: DISABLE } } }
`;
/** Denies nobody who calls here, and is another one with every name. */
const policy = (other: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: others, namespace: istio-system }
spec: { action: DENY, rules: [{ from: [{ source: { namespaces: [${other}] } }] }] }
`;

describe('a connection', () => {
  let mesh: TestMesh;
  let upstreams: Readonly<Record<string, number>>;

  before(async () => {
    const services = (namespace: string, port: number) => `
  ${namespace}-lines: { namespace: ${namespace}, port: ${port}, protocol: tcp, command: ${lines} }
  ${namespace}-brief: { namespace: ${namespace}, port: ${port + 1}, protocol: tcp, command: ${brief} }
  ${namespace}-long: { namespace: ${namespace}, port: ${port + 2}, protocol: tcp, command: ${brief}, env: { LENGTH: "${many}" } }
  ${namespace}-detected-lines: { namespace: ${namespace}, port: ${port + 3}, command: ${lines} }
  ${namespace}-detected-brief: { namespace: ${namespace}, port: ${port + 4}, command: ${brief} }
  ${namespace}-detected-long: { namespace: ${namespace}, port: ${port + 5}, command: ${brief}, env: { LENGTH: "${many}" } }`;
    mesh = await TestMesh.start({
      'mesh.yaml': `
services:${services('sealed', 6000)}${services('plain', 6100)}
  client: { namespace: sealed, command: sleep 1000 }
`,
      'objects.yaml': objects,
      'policies.yaml': '',
    });
    upstreams = mesh.workload('client-0').upstreams;
  });
  after(() => mesh?.close());

  interface Proxy {
    readonly inForce: boolean;
    readonly applied: readonly { readonly type: string; readonly version: string }[];
  }
  async function changePolicies(other: string): Promise<void> {
    const proxies = async () => (await mesh.fetchJson('/api/proxies')) as Proxy[];
    const versions = async () =>
      JSON.stringify((await proxies()).map(({ applied }) => applied.find(({ type }) => type === 'listener')?.version));
    const old = await versions();
    mesh.write({ 'policies.yaml': policy(other) });
    await eventually(
      async () => (await versions()) !== old && (await proxies()).every(({ inForce }) => inForce),
      'the policies in force',
    );
  }

  const portOf = (way: string, kind: string) => {
    const service = `${way}-${kind}`;
    return upstreams[service] ?? upstreams[`${service}.${way}`]!;
  };
  /** An open connection that keeps both of its sides. */
  async function open(port: number): Promise<net.Socket & { readonly heard: Promise<string> }> {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let text = '';
    socket.on('data', (data: Buffer) => (text += data.toString('latin1')));
    const heard = new Promise<string>((resolve, reject) => {
      socket.once('end', () => resolve(text));
      socket.once('error', reject);
    });
    await new Promise((resolve) => socket.once('connect', resolve));
    return Object.assign(socket, { heard });
  }

  for (const way of ['sealed', 'plain'])
    for (const detected of ['', 'detected-']) {
      const where = `${way === 'sealed' ? 'over mTLS' : 'in plaintext'}${detected === '' ? '' : ' on a port without protocol'}`;
      const port = (kind: string) => portOf(way, `${detected}${kind}`);

      it(`${where} whose caller ends at once is answered whole`, async () => {
        for (const words of ['one\n', ''])
          assert.equal(
            await exchangeRaw(port('lines'), words, { halfClose: true }),
            `hello\n${words.toUpperCase()}bye\n`,
          );
      });

      it(`${where} whose server speaks first and ends at once is heard whole, after policies have changed too`, async () => {
        for (const round of ['first', 'second']) {
          await Promise.all(
            ['one\n', ''].flatMap((words) =>
              ['brief', 'long'].map(async (kind) => {
                const answer = await exchangeRaw(port(kind), words, { halfClose: true });
                assert.equal(answer.length, (kind === 'brief' ? 5 : many) + 1, `${round} ${kind} ${words}`);
              }),
            ),
          );
          await changePolicies(`${round}-${way}-${detected}x`);
        }
      });

      it(`${where} whose server has ended still carries what the caller says, across a change of policies`, async () => {
        const socket = await open(port('brief'));
        socket.write('first');
        assert.equal((await socket.heard).length, 6);
        await changePolicies(`open-${way}-${detected}x`);
        const size = many + where.length; // which one it is
        socket.end(Buffer.alloc(size - 'first'.length));
        await mesh.waitForOutput(new RegExp(`heard ${size} bytes\\n`));
      });

      it(`${where} whose caller has ended still carries what the server says, across a change of policies`, async () => {
        const socket = await open(port('lines'));
        socket.write('one\n');
        await eventually(() => socket.bytesRead >= 'hello\nONE\n'.length, 'the answer');
        await changePolicies(`caller-${way}-${detected}x`);
        socket.end('two\n');
        assert.equal(await socket.heard, 'hello\nONE\nTWO\nbye\n');
      });
    }
});
