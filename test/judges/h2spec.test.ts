// h2spec against the four ways in which HTTP/2 comes into a mesh: a workload's outbound port, an inbound port in clear text, over
// mTLS, and between proxies. First against a server whose faults are known, to see that the judge sees them.
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { authorityOf, issue } from '../harness/certificates.js';
import { app, TestMesh } from '../harness/mesh.js';
import { runH2spec, type Verdict } from './h2spec.js';
import { h2specExceptions, h2specExceptionsBesideHttp1 } from './h2spec-exceptions.js';
import { requireTools, skipWithout } from './peers.js';
import { TlsRelay } from './tls-relay.js';

/** The 145 cases of h2spec 2.2.1 in its report. */
const caseCount = 145;
const besideHttp1 = new Map([...h2specExceptions, ...h2specExceptionsBesideHttp1]);

it('h2spec: the judge is there', { skip: skipWithout('h2spec') }, () => requireTools('h2spec'));

describe('h2spec', { skip: skipWithout('h2spec') }, () => {
  let mesh: TestMesh;
  let foreign: TlsRelay;
  let between: TlsRelay;

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `services: { web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }, client: { command: sleep 1000 } }`,
    });
    const inbound = {
      port: mesh.workload('web-0').inbound!.port,
      credentials: await issue(await authorityOf(mesh.directory), ['spiffe://cluster.local/ns/default/sa/client']),
      serverName: 'outbound_.8080_._.web.default.svc.cluster.local',
    };
    [foreign, between] = await Promise.all([
      TlsRelay.start({ ...inbound, protocols: ['istio-h2'] }),
      TlsRelay.start({ ...inbound, protocols: ['lateen-h2'] }),
    ]);
  });
  after(async () => {
    foreign?.close();
    between?.close();
    await mesh?.close();
  });

  it('sees the faults of a server that has some', async () => {
    const server = http2.createServer((_, response) => response.end('hello'));
    server.on('sessionError', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const verdicts = await runH2spec((server.address() as AddressInfo).port);
    server.close();
    assert.equal(verdicts.length, caseCount);
    assert.ok(verdicts.some(({ id, outcome }) => id === 'http2/5.1 #8' && outcome === 'failed'));
    assert.ok(verdicts.filter(({ outcome }) => outcome === 'passed').length > 130);
  });

  const listeners = {
    'an outbound port': { portOf: () => mesh.workload('client-0').upstreams['web']!, exceptions: besideHttp1 },
    'an inbound port in clear text': { portOf: () => mesh.workload('web-0').inbound!.port, exceptions: besideHttp1 },
    'an inbound port over mTLS': { portOf: () => foreign.port, exceptions: h2specExceptions },
    'an inbound port as another proxy of the mesh sees it': {
      portOf: () => between.port,
      exceptions: h2specExceptions,
    },
  };
  for (const [name, { portOf, exceptions }] of Object.entries(listeners))
    it(`judges ${name}`, async (t) => {
      const verdicts = await runH2spec(portOf(), { path: '/status/200' });
      assert.equal(verdicts.length, caseCount);
      for (const verdict of verdicts) await judge(t, verdict, exceptions);
    });
});

async function judge(
  t: { test: typeof it },
  { id, fact, outcome, why }: Verdict,
  exceptions: ReadonlyMap<string, string>,
): Promise<void> {
  const reason = exceptions.get(id);
  await t.test(`${id}: ${fact}${reason === undefined ? '' : ` (fails: ${reason})`}`, () => {
    if (reason === undefined) assert.equal(outcome, 'passed', why);
    else assert.equal(outcome, 'failed', 'it passes: take it out of the exceptions');
  });
}
