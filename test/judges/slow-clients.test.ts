// slowhttptest: many clients that send their heads, their bodies, or take their answers as slowly as they can, while other callers
// are served as if nothing were.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { SteadyLoad } from '../harness/http.js';
import { app, TestMesh } from '../harness/mesh.js';
import { runTool, requireTools, skipWithout } from './peers.js';

/** Connections that each run holds open. */
const clients = 200;
const seconds = 8;

const modes = {
  'heads a byte at a time': ['-H', '-i', '1'],
  'bodies a byte at a time': ['-B', '-i', '1', '-s', '100000'],
  'answers read a few bytes a second': ['-X', '-n', '1', '-z', '32', '-w', '16', '-y', '64', '-k', '3'],
} as const;

it('slow clients: the judge is there', { skip: skipWithout('slowhttptest') }, () => requireTools('slowhttptest'));

describe('slow clients', { skip: skipWithout('slowhttptest') }, () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `services: { web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }, client: { command: sleep 1000 } }`,
    });
  });
  after(() => mesh?.close());

  const entrances = {
    outbound: () => mesh.workload('client-0').upstreams['web']!,
    inbound: () => mesh.workload('web-0').inbound!.port,
  };
  for (const [entrance, portOf] of Object.entries(entrances))
    for (const [what, args] of Object.entries(modes))
      it(`${entrance}: ${clients} with ${what} leave the port available and others served`, async () => {
        const port = portOf();
        const load = new SteadyLoad(50, () => ({ port, path: '/bytes/1000' }));
        const command = `-c ${clients} -r ${clients} -l ${seconds} -p 5 -x 10 -u http://127.0.0.1:${port}/bytes/1000000`;
        const { stdout } = await runTool('slowhttptest', [...args, ...command.split(' ')]);
        const { outcomes } = await load.stop();
        // eslint-disable-next-line no-control-regex -- it prints in colour
        const said = stdout.replaceAll(/\x1b\[[\d;]*m/g, '');
        assert.match(said, /service available:\s+YES/);
        assert.doesNotMatch(said, /service available:\s+NO/);
        assert.match(said, /initializing:|pending:|connected:/);
        assert.deepEqual([...outcomes.keys()], ['200']);
      });
});
