// Files of objects change while the mesh runs: what is good takes effect, what is bad is refused and loses nothing.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { request, requestEcho } from '../harness/http.js';
import { app, eventually, program, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

const echo = JSON.stringify(app('echo.mjs'));
const files = {
  'mesh.yaml': `
services:
  reviews:
    port: 9080
    protocol: http
    versions: { v1: { command: ${echo}, env: { NAME: v1 } }, v2: { command: ${echo}, env: { NAME: v2 } } }
  client: { command: sleep 1000 }
`,
  'subsets.yaml': `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec:
  host: reviews
  subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]
`,
};

const routeTo = (subset: string, more = '') => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
    - route: [{ destination: { host: reviews, subset: ${subset} } }]
${more}`;

function cli(mesh: TestMesh, ...args: string[]): { status: number; stdout: string; stderr: string } {
  try {
    return {
      status: 0,
      stdout: execFileSync(process.execPath, [program, ...args, '-C', mesh.directory], {
        encoding: 'utf8',
        stdio: 'pipe',
      }),
      stderr: '',
    };
  } catch (error) {
    return error as { status: number; stdout: string; stderr: string };
  }
}

describe('objects that change while the mesh runs', () => {
  let mesh: TestMesh;
  let port: number;

  before(async () => {
    mesh = await TestMesh.start({ ...files, 'routes.yaml': routeTo('v1') });
    port = mesh.workload('client-0').upstreams['reviews']!;
  });
  after(() => mesh.close());

  const served = async () => (await requestEcho({ port })).name;
  const serves = (name: string) => eventually(async () => (await served()) === name, `requests reach ${name}`);

  it('a proxy says what is in force, not only what it has acknowledged', async () => {
    interface Proxy {
      workload: string;
      synced: boolean;
      inForce: boolean;
      applied: { type: string; version: string; resources: number; waiting: number }[];
    }
    const proxies = async () => (await mesh.fetchJson('/api/proxies')) as Proxy[];
    const before = await eventually(async () => {
      const all = await proxies();
      return all.length === 3 && all.every(({ synced, inForce }) => synced && inForce) && all;
    }, 'three proxies with everything in force');
    const ofClient = (all: readonly Proxy[]) => all.find(({ workload }) => workload.includes('client'))!;
    const versionOf = (all: readonly Proxy[], type: string) =>
      ofClient(all).applied.find((applied) => applied.type === type)!.version;
    assert.ok(ofClient(before).applied.every(({ resources, waiting }) => resources > 0 && waiting === 0));
    mesh.write({ 'routes.yaml': routeTo('v2') });
    await eventually(async () => {
      const all = await proxies();
      return ofClient(all).inForce && versionOf(all, 'routes') !== versionOf(before, 'routes');
    }, 'the new routes in force');
    assert.equal(versionOf(await proxies(), 'listener'), versionOf(before, 'listener'));
    mesh.write({ 'routes.yaml': routeTo('v1') });
    await eventually(
      async () => versionOf(await proxies(), 'routes') === versionOf(before, 'routes'),
      'the old routes in force again',
    );
  });

  it('an edited route takes effect', async () => {
    assert.equal(await served(), 'v1');
    mesh.write({ 'routes.yaml': routeTo('v2') });
    await serves('v2');
  });

  it('a misspelt field is refused with file, line, path and a suggestion, and the last good version goes on', async () => {
    mesh.write({ 'routes.yaml': routeTo('v1', '      timeoutt: 1s\n') });
    const [found] = await eventually(async () => {
      const all = await mesh.diagnostics();
      return all.length > 0 && all;
    }, 'a diagnostic');
    assert.deepEqual(
      [found!.severity, found!.code, found!.object, found!.file, found!.line, found!.path],
      ['error', 'IST0106', 'VirtualService/default/reviews', 'routes.yaml', 9, 'spec.http[0].timeoutt'],
    );
    assert.equal(found!.message, 'is not a known field; did you mean timeout? (the last good version keeps working)');
    assert.equal(await served(), 'v2');
  });

  it('the refusal stays visible in get, on the page and in the metrics', async () => {
    const diagnostics = cli(mesh, 'get', 'diagnostics', '-o', 'json');
    assert.equal(diagnostics.status, 1);
    assert.equal((JSON.parse(diagnostics.stdout) as { code: string }[])[0]!.code, 'IST0106');
    const list = JSON.parse(cli(mesh, 'get', 'virtualservice', 'reviews', '-o', 'json').stdout) as {
      kind: string;
      items: {
        metadata: { name: string };
        spec: { http: { route: { destination: { subset: string } }[] }[] };
        status: { origin: string; conditions: { type: string; status: string; message: string }[] };
      }[];
    };
    assert.equal(list.kind, 'List');
    const [item] = list.items;
    assert.equal(item!.status.conditions[0]!.type, 'Accepted');
    assert.equal(item!.status.conditions[0]!.status, 'False');
    assert.match(item!.status.conditions[0]!.message, /did you mean timeout/);
    assert.equal(item!.status.origin, 'routes.yaml:2');
    assert.equal(item!.spec.http[0]!.route[0]!.destination.subset, 'v2', 'the version in force is shown');
    assert.equal(
      sumOf(await scrape(mesh.run.url), 'lateen_config_rejected', {
        kind: 'VirtualService',
        namespace: 'default',
        name: 'reviews',
      }),
      1,
    );
    const overview = (await mesh.fetchJson('/api/overview')) as { diagnostics: { code: string }[] };
    assert.equal(overview.diagnostics[0]!.code, 'IST0106');
  });

  it('a refused object keeps its last good version when the control plane starts anew', async () => {
    const before = mesh.run.pids.control;
    process.kill(before, 'SIGKILL');
    await eventually(() => mesh.run.pids.control !== before && mesh.run.pids.control !== null, 'another control plane');
    await eventually(
      async () => (await mesh.diagnostics()).some(({ message }) => message.includes('last good version keeps working')),
      'the diagnostic again',
    );
    assert.equal(await served(), 'v2');
  });

  it('mended it takes effect, and nothing is left to report', async () => {
    mesh.write({ 'routes.yaml': routeTo('v1') });
    await serves('v1');
    await eventually(async () => (await mesh.diagnostics()).length === 0, 'no diagnostics');
    assert.equal(sumOf(await scrape(mesh.run.url), 'lateen_config_rejected'), 0);
  });

  it('a file that is no YAML keeps the objects that it held', async () => {
    mesh.write({ 'routes.yaml': 'kind: [unclosed\n  x: {' });
    await eventually(
      async () =>
        (await mesh.diagnostics()).some(
          ({ code, file, line }) => code === 'LAT0003' && file === 'routes.yaml' && line > 0,
        ),
      'the diagnostic',
    );
    assert.equal(await served(), 'v1');
    mesh.write({ 'routes.yaml': routeTo('v2') });
    await serves('v2');
  });

  it('kinds and fields that are not supported yet are refused by name', async () => {
    mesh.write({
      'more.yaml': `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge }
spec: {}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: delegating }
spec:
  hosts: [elsewhere]
  http:
    - delegate: { name: reviews }
`,
    });
    const found = await eventually(async () => {
      const all = await mesh.diagnostics();
      return all.length >= 2 && all;
    }, 'both diagnostics');
    assert.deepEqual(
      found.map(({ code, object, line, path }) => [code, object, line, path]),
      [
        ['LAT0001', 'Gateway/default/edge', 2, 'kind'],
        ['LAT0002', 'VirtualService/default/delegating', 13, 'spec.http[0].delegate'],
      ],
    );
    assert.match(found[0]!.message, /not supported yet/);
    rmSync(join(mesh.directory, 'more.yaml'));
    await eventually(async () => (await mesh.diagnostics()).length === 0, 'no diagnostics');
  });

  it('a second definition of an object is refused, the first in the order of paths counts', async () => {
    mesh.write({ 'a-first.yaml': routeTo('v1') });
    await serves('v1');
    const [found] = await eventually(async () => {
      const all = await mesh.diagnostics();
      return all.some(({ code }) => code === 'LAT0004') && all;
    }, 'the diagnostic');
    assert.match(found!.message, /already defined in a-first\.yaml:2/);
    rmSync(join(mesh.directory, 'a-first.yaml'));
    await serves('v2');
  });

  it('a file that is renamed loses nothing, one that is removed takes its objects away', async () => {
    renameSync(join(mesh.directory, 'routes.yaml'), join(mesh.directory, 'renamed.yaml'));
    await eventually(async () => {
      const list = (await mesh.fetchJson('/api/objects/virtualservices')) as {
        items: { status: { origin: string } }[];
      };
      return list.items[0]?.status.origin === 'renamed.yaml:2';
    }, 'the new name');
    assert.equal(await served(), 'v2');
    rmSync(join(mesh.directory, 'renamed.yaml'));
    const seen = new Set<string>();
    await eventually(async () => seen.add(await served()).size === 2, 'both versions, without a rule');
  });

  it('an object that never was valid has no effect and says so', async () => {
    mesh.write({ 'routes.yaml': routeTo('v1').replace('hosts: [reviews]', 'hosts: []') });
    await eventually(
      async () => (await mesh.diagnostics()).some(({ message }) => message.includes('no effect until this is mended')),
      'the diagnostic',
    );
    assert.equal((await request({ port })).status, 200);
  });

  it('the last good configuration survives a stop and a start of the whole mesh', async () => {
    mesh.write({ 'routes.yaml': routeTo('v2') });
    // Without a rule requests reach both versions: only the list tells that the rule has been read.
    await eventually(
      async () => JSON.stringify(await mesh.fetchJson('/api/objects/virtualservices')).includes('"True"'),
      'the rule in force',
    );
    mesh.write({ 'routes.yaml': routeTo('v1', '      wrong: 1\n') });
    await eventually(async () => (await mesh.diagnostics()).length > 0, 'the refusal');
    await mesh.stop();
    assert.match(readFileSync(join(mesh.directory, '.lateen/last-good.json'), 'utf8'), /"subset":"v2"/);
    mesh = await TestMesh.start({}, { directory: mesh.directory });
    port = mesh.workload('client-0').upstreams['reviews']!;
    assert.equal(await served(), 'v2');
    assert.match((await mesh.diagnostics())[0]!.message, /last good version keeps working/);
  });
});
