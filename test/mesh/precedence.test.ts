// Corners of precedence on a running mesh, each against its row of docs/precedence.md.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { request, requestEcho, type Answer } from '../harness/http.js';
import { app, eventually, root, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

const echo = (name: string) => `command: ${JSON.stringify(app('echo.mjs'))}, env: { NAME: ${name} }`;

const meshFile = `
meshConfig: { accessLogFile: access.log }
services:
  shop:
    namespace: shop
    ports: [{ name: http, port: 80, protocol: http }, { name: more, port: 81, protocol: http }]
    versions: { v1: { ${echo('v1')} }, v2: { ${echo('v2')} } }
  one: { namespace: shop, port: 8000, protocol: http, ${echo('one')} }
  shared: { namespace: shop, port: 80, protocol: http, ${echo('shared')} }
  hidden: { namespace: shop, port: 80, protocol: http, ${echo('hidden')} }
  exact: { namespace: shop, port: 80, protocol: http, ${echo('exact')} }
  copies: { namespace: shop, port: 80, protocol: http, ${echo('copies')} }
  elsewhere: { namespace: other, port: 80, protocol: http, ${echo('elsewhere')} }
  client: { namespace: shop, command: sleep 1000, labels: { tier: gold } }
  plain: { namespace: shop, command: sleep 1000 }
  outsider: { namespace: other, command: sleep 1000 }
`;

const virtualService = (name: string, namespace: string, spec: string) =>
  `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec:\n${spec.replace(/^/gm, '  ')}\n`;
const direct = (text: string, more = '') =>
  `http: [{ ${more} directResponse: { status: 200, body: { string: ${text} } } }]`;

const shopRules = `
hosts: [shop]
http:
- { match: [{ uri: { prefix: /first } }], route: [{ destination: { host: shop, subset: v1 } }] }
- { match: [{ uri: { exact: /first } }], route: [{ destination: { host: shop, subset: v2 } }] }
- match: [{ uri: { exact: /zero } }]
  route: [{ destination: { host: shop, subset: v1 }, weight: 0 }, { destination: { host: shop, subset: v2 }, weight: 7 }]
- { match: [{ uri: { exact: /sole } }], route: [{ destination: { host: shop, subset: v2 }, weight: 0 }] }
- match: [{ uri: { exact: /shares } }]
  route: [{ destination: { host: shop, subset: v1 }, weight: 1 }, { destination: { host: shop, subset: v2 }, weight: 4 }]
- { match: [{ uri: { exact: /one } }], route: [{ destination: { host: one } }] }
- { match: [{ uri: { exact: /same-port } }], route: [{ destination: { host: shop, subset: v1 } }] }
- { match: [{ uri: { exact: /other-port } }], route: [{ destination: { host: shop, subset: v1, port: { number: 81 } } }] }
- { match: [{ uri: { exact: /nowhere } }], route: [{ destination: { host: nowhere } }] }
- { match: [{ uri: { exact: /no-subset } }], route: [{ destination: { host: shop, subset: v9 } }] }
- match: [{ uri: { exact: /headers-sole } }]
  headers: { request: { remove: [x-a], set: { x-a: set }, add: { x-a: add } } }
  route: [{ destination: { host: shop, subset: v1 }, headers: { request: { add: { x-a: last } } } }]
- match: [{ uri: { exact: /headers-weighted } }]
  headers: { request: { add: { x-a: rule } } }
  route:
  - { destination: { host: shop, subset: v1 }, weight: 1, headers: { request: { set: { x-a: destination } } } }
  - { destination: { host: shop, subset: v2 }, weight: 1, headers: { request: { set: { x-a: destination } } } }
- match: [{ uri: { exact: /authority } }]
  rewrite: { authority: rule.example }
  route: [{ destination: { host: shop, subset: v1 }, headers: { request: { set: { host: destination.example } } } }]
${[
  ['percentage', 'mirrorPercentage: { value: 100 }'],
  ['percent', 'mirrorPercent: 100'],
  ['old', 'mirror_percent: 100'],
  ['none', 'name: all'],
  ['percentage-0', 'mirrorPercentage: { value: 0 }'],
  ['percent-0', 'mirrorPercent: 0'],
  ['old-0', 'mirror_percent: 0'],
]
  .map(
    ([path, field]) =>
      `- { match: [{ uri: { exact: /mirror/${path} } }], ${field}, mirror: { host: copies }, route: [{ destination: { host: one } }] }`,
  )
  .join('\n')}
- route: [{ destination: { host: shop, subset: v1 } }]
- { name: never, match: [{ uri: { exact: /never } }], route: [{ destination: { host: one } }] }
`;

const files = {
  'mesh.yaml': meshFile,
  'a.yaml': [
    virtualService(
      'gold-only',
      'shop',
      `hosts: [shared]\n${direct('gold', 'match: [{ sourceLabels: { tier: gold } }],')}`,
    ),
    virtualService('hidden', 'shop', `hosts: [hidden]\nexportTo: ['.']\n${direct('ruled')}`),
    virtualService('nowhere', 'shop', `hosts: [hidden]\nexportTo: ['~']\n${direct('never')}`),
    virtualService(
      'wild',
      'shop',
      `hosts: ['*.shop.svc.cluster.local']\nexportTo: [.]\n${direct('wild', 'match: [{ uri: { exact: /wild } }],')}`,
    ),
    virtualService('shop', 'shop', shopRules.trim()),
    'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: shop, namespace: shop }\nspec: { host: shop, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }] }\n',
    virtualService('wrong-namespace', 'other', `hosts: [exact]\n${direct('wrong')}`),
  ].join('---\n'),
  'b.yaml': [
    virtualService('second', 'shop', `hosts: [shared]\n${direct('second')}`),
    virtualService('third', 'shop', `hosts: [shared]\n${direct('third')}`),
    virtualService('exact', 'shop', `hosts: [exact]\n${direct('exact')}`),
  ].join('---\n'),
};

/** Rows of the table: what is expected, by corner. */
const table = new Map(
  [...readFileSync(join(root, 'docs/precedence.md'), 'utf8').matchAll(/^\| ([a-z-]+) \| (.+) \|$/gm)]
    .filter(([, corner]) => corner !== 'corner')
    .map(([, corner, expected]) => [corner!, expected!]),
);

let mesh: TestMesh;
const at = (path: string, { host = 'shop', from = 'client-0', headers = {} } = {}): Promise<Answer> =>
  request({ port: mesh.workload(from).outboundHttp.port, path, headers: { host, ...headers } });
const bodyAt = async (...args: Parameters<typeof at>) => (await at(...args)).body;
const nameAt = async (path: string, host = 'shop') =>
  (await requestEcho({ port: mesh.workload('client-0').outboundHttp.port, path, headers: { host } })).name;
const count = async (labels: Record<string, string>) =>
  sumOf(await scrape(mesh.run.url), 'istio_requests_total', labels);

const corners: Record<string, () => Promise<void>> = {
  'first-match': async () => assert.equal(await nameAt('/first'), 'v1'),
  'zero-weight': async () => {
    for (let i = 0; i < 30; i++) assert.equal(await nameAt('/zero'), 'v2');
  },
  'sole-destination': async () => assert.equal(await nameAt('/sole'), 'v2'),
  'relative-weights': async () => {
    const total = 500;
    let first = 0;
    for (let i = 0; i < total; i++) if ((await nameAt('/shares')) === 'v1') first++;
    assert.ok(Math.abs(first - total / 5) < 5 * Math.sqrt(total * 0.2 * 0.8), `${first} of ${total} at weight 1 of 5`);
  },
  oldest: async () => {
    assert.equal(await bodyAt('/', { host: 'shared' }), 'gold');
    const said = (await mesh.diagnostics()).filter(({ code }) => code === 'IST0109').map(({ object }) => object);
    assert.deepEqual(
      new Set(said),
      new Set(['second', 'third', 'nowhere'].map((name) => `VirtualService/shop/${name}`)),
    );
  },
  'rules-for-others': async () => {
    assert.equal(await bodyAt('/', { host: 'shared', from: 'plain-0' }), 'second');
  },
  'exact-host': async () => {
    assert.equal(await bodyAt('/wild', { host: 'exact' }), 'exact');
    assert.equal(await bodyAt('/wild', { host: 'one' }), 'wild');
  },
  hidden: async () => {
    assert.equal(await bodyAt('/', { host: 'hidden' }), 'ruled');
    assert.match(await bodyAt('/', { host: 'hidden.shop', from: 'outsider-0' }), /"name":"hidden"/);
  },
  'rule-namespace': async () => assert.equal(await bodyAt('/', { host: 'exact' }), 'exact'),
  'destination-port': async () => {
    assert.equal(await nameAt('/one', 'shop:81'), 'one');
    const cluster = async (path: string, host: string) => {
      const id = `${path.slice(1)}-${host.replace(':', '-')}`;
      await at(path, { host, headers: { 'x-request-id': id } });
      return eventually(() => /outbound\|(\d+)\|v1\|/.exec(logged(id).join('\n'))?.[1], `the line of ${id}`);
    };
    assert.equal(await cluster('/same-port', 'shop'), '80');
    assert.equal(await cluster('/same-port', 'shop:81'), '81');
    assert.equal(await cluster('/other-port', 'shop'), '81');
  },
  'unknown-destination': () => fails('/nowhere', 503, 'NC'),
  'unknown-subset': () => fails('/no-subset', 503, 'NC'),
  'unknown-host': () => fails('/', 404, 'NR', 'nobody.example'),
  'behind-catch-all': async () => {
    assert.equal(await nameAt('/never'), 'v1');
    const said = (await mesh.diagnostics()).find(({ code }) => code === 'IST0130');
    assert.match(said!.message, /is never reached: spec\.http\[\d+\] takes every request/);
  },
  'header-order': async () => {
    const sent = async (path: string) => {
      const answer = await bodyAt(path, { headers: { 'x-a': 'caller' } });
      return (JSON.parse(answer) as { headers: Record<string, string> }).headers['x-a'];
    };
    assert.equal(await sent('/headers-sole'), 'set, add, last');
    assert.equal(await sent('/headers-weighted'), 'destination, rule');
  },
  authority: async () => {
    const answer = JSON.parse(await bodyAt('/authority')) as { headers: Record<string, string> };
    assert.equal(answer.headers['host'], 'rule.example');
  },
  'mirror-forms': async () => {
    const total = 5;
    for (const form of ['percentage', 'percent', 'old', 'none', 'percentage-0', 'percent-0', 'old-0'])
      for (let i = 0; i < total; i++) assert.equal(await nameAt(`/mirror/${form}`), 'one');
    const copies = { reporter: 'destination', destination_service_name: 'copies', response_code: '200' };
    await eventually(async () => (await count(copies)) === 4 * total, 'the copies of four forms have arrived');
    // What a later copy would have had to overtake: the originals of all forms are counted too.
    await eventually(
      async () => (await count({ reporter: 'destination', destination_service_name: 'one' })) >= 7 * total,
      'all originals are counted',
    );
    assert.equal(await count(copies), 4 * total);
  },
  delegate: async () => {
    mesh.write({ 'b.yaml': files['b.yaml'].replace(direct('second'), 'http: [{ delegate: { name: other } }]') });
    const refused = await eventually(
      async () => (await mesh.diagnostics()).find(({ code }) => code === 'LAT0002'),
      'the refusal',
    );
    assert.deepEqual([refused.object, refused.path], ['VirtualService/shop/second', 'spec.http[0].delegate']);
    assert.equal(await bodyAt('/', { host: 'shared', from: 'plain-0' }), 'second');
  },
};

/** Lines of the access log with that text. */
function logged(text: string): string[] {
  return readFileSync(join(mesh.directory, 'access.log'), 'utf8')
    .split('\n')
    .filter((line) => line.includes(text));
}

async function fails(path: string, status: number, flags: string, host = 'shop'): Promise<void> {
  const id = `${path.slice(1)}-${host}-fails`;
  assert.equal((await at(path, { host, headers: { 'x-request-id': id } })).status, status);
  const [line] = await eventually(() => (logged(id).length > 0 ? logged(id) : undefined), `the line of ${id}`);
  assert.match(line!, new RegExp(`HTTP/1\\.1" ${status} ${flags} `));
}

describe('which rule counts', () => {
  before(async () => {
    mesh = await TestMesh.start(files);
  });
  after(() => mesh.close());

  it('every row of the table has its test, and every test its row', () =>
    assert.deepEqual([...table.keys()], Object.keys(corners)));

  for (const [corner, check] of Object.entries(corners)) it(`${corner}: ${table.get(corner)}`, check);
});
