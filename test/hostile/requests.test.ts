// The catalogue of hostile requests and answers, on every entrance of a mesh: the stated answer, and nothing refused goes on.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TestMesh } from '../harness/mesh.js';
import { requestCases, responseCases } from './cases.js';
import { entrancesOf, startHostileMesh } from './entrances.js';
import { RecordingUpstream } from './recording-upstream.js';
import { judge, runCase, type Entrance } from './run-case.js';

describe('hostile input', () => {
  let upstream: RecordingUpstream;
  let mesh: TestMesh;
  let entrances: Entrance[];

  before(async () => {
    upstream = await RecordingUpstream.start();
    mesh = await startHostileMesh(upstream);
    entrances = await entrancesOf(mesh);
  });
  after(async () => {
    await mesh?.close();
    upstream.close();
  });

  let number = 0;
  for (const hostile of [...requestCases, ...responseCases]) {
    const id = String(++number);
    it(`row ${hostile.row}: ${hostile.fact}`, async () => {
      const problems: string[] = [];
      const run = async (entrance: Entrance, i: number) => {
        const runId = `${id}-${i}`;
        const outcome = await runCase(hostile, entrance, upstream, runId);
        for (const problem of judge(hostile, outcome, entrance.host, runId))
          problems.push(`${entrance.name}: ${problem}`);
      };
      // What waits for a time limit waits on all entrances at once; all else one after another, so that what the server
      // receives can be told apart.
      if (hostile.waits === true) await Promise.all(entrances.map(run));
      else for (const [i, entrance] of entrances.entries()) await run(entrance, i);
      assert.deepEqual(problems, []);
    });
  }

  it('nothing that was hidden in another request ever reached the server', () => {
    assert.ok(
      upstream.connections.some(({ bytes }) => bytes.includes('GET /c/')),
      'the control: requests did',
    );
    assert.deepEqual(
      upstream.connections.filter(({ bytes }) => bytes.includes('/smuggled')).map(({ bytes }) => bytes),
      [],
    );
  });

  it('the data plane is the one that was started', async () => {
    assert.equal(
      mesh.run.workloads.every(({ ready }) => ready),
      true,
    );
    assert.doesNotMatch(mesh.output, /data plane ended|it was ended by|it ended with/);
  });
});
