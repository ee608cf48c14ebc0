// The hostile cases in HTTP/2 on a workload's outbound port, on an inbound port over mTLS, and between proxies of the mesh: the
// stated end, nothing refused ever forwarded, what was begun cancelled, others served all the while, memory flat.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { authorityOf, issue } from '../harness/certificates.js';
import { SteadyLoad } from '../harness/http.js';
import type { TestMesh } from '../harness/mesh.js';
import { startHostileMesh } from '../hostile/entrances.js';
import { RecordingUpstream } from '../hostile/recording-upstream.js';
import { Attacker } from './attack.js';
import { floods } from './floods.js';
import { frameCases } from './frame-cases.js';
import { requireTools, skipWithout } from './peers.js';
import { megabytes, residentBytes } from './process-memory.js';
import { requestFaults } from './request-faults.js';
import { judgeFrames, type FrameEntrance } from './run-frame-case.js';
import { TlsRelay } from './tls-relay.js';

/** What all of this together may leave resident. Node gives little back, so it is a bound and no measure. */
const growthBytes = 400 * 1024 * 1024;

it('hostile HTTP/2: the judge is there', { skip: skipWithout('python3') }, () => requireTools('python3'));

describe('hostile HTTP/2', { skip: skipWithout('python3') }, () => {
  let upstream: RecordingUpstream;
  let mesh: TestMesh;
  let relays: TlsRelay[] = [];
  let entrances: readonly FrameEntrance[];
  let attackers: readonly Attacker[];
  let load: SteadyLoad;
  let dataPlane: number;
  let residentBefore: number;

  before(async () => {
    upstream = await RecordingUpstream.start();
    mesh = await startHostileMesh(upstream);
    const inbound = {
      port: mesh.workload('web-0').inbound!.port,
      credentials: await issue(await authorityOf(mesh.directory), ['spiffe://cluster.local/ns/default/sa/client']),
      serverName: 'outbound_.8080_._.web.default.svc.cluster.local',
    };
    relays = await Promise.all(
      ['istio-h2', 'lateen-h2'].map((protocol) => TlsRelay.start({ ...inbound, protocols: [protocol] })),
    );
    const { outboundHttp, upstreams } = mesh.workload('client-0');
    entrances = [
      { name: 'outbound', host: 'web', port: outboundHttp.port },
      { name: 'inbound', host: 'web', port: relays[0]!.port },
      { name: 'between proxies', host: 'web', port: relays[1]!.port },
    ];
    attackers = entrances.map(() => Attacker.start());
    dataPlane = mesh.run.pids.data!;
    load = new SteadyLoad(
      20,
      () => ({ port: upstreams['web']!, path: '/steady' }),
      ({ status, body }) => (status === 200 ? '200' : `${status} ${body}`),
    );
    residentBefore = residentBytes(dataPlane);
  });
  after(async () => {
    for (const attacker of attackers ?? []) attacker.close();
    for (const relay of relays) relay.close();
    await load?.stop();
    await mesh?.close();
    upstream.close();
  });

  let number = 0;
  for (const hostile of [...frameCases, ...requestFaults, ...floods]) {
    const id = String(++number);
    it(`row ${hostile.row}: ${hostile.fact}`, async () => {
      const asked = hostile.isMeshes === true ? entrances.slice(0, 2) : entrances;
      const problems = await Promise.all(
        asked.map(async (entrance, i) =>
          (await judgeFrames(hostile, entrance, upstream, attackers[i]!, `${id}-${i}`)).map(
            (problem) => `${entrance.name}: ${problem}`,
          ),
        ),
      );
      assert.deepEqual(problems.flat(), []);
    });
  }

  it('nothing that was hidden in another request ever reached the server', () => {
    const bytes = upstream.connections.map((connection) => connection.bytes);
    assert.ok(
      bytes.some((one) => one.includes('GET /next/')),
      'the control: requests did',
    );
    assert.deepEqual(
      bytes.filter((one) => /^[A-Z]+ \/smuggled|^X-[AC]:/m.test(one.replaceAll('\r', '\n'))),
      [],
    );
  });

  it('others were served all the while', async () => {
    const { outcomes, total } = await load.stop();
    assert.deepEqual([...outcomes.keys()], ['200']);
    assert.ok(total > 100);
  });

  it('the data plane is the one that was started, and has not grown beyond bounds', () => {
    assert.equal(mesh.run.pids.data, dataPlane);
    assert.doesNotMatch(mesh.output, /data plane ended|it was ended by|it ended with|internal error/);
    const grown = residentBytes(dataPlane) - residentBefore;
    assert.ok(grown < growthBytes, `${megabytes(grown)} MB more than before`);
  });
});
