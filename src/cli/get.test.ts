// `lateen get`: what it prints in every form, what it filters, and its exit codes.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parse } from 'yaml';
import { runLateen } from '../../test/harness/cli.js';

const place = (port: number) => ({ address: '127.0.0.1', port });
const workloads = [
  {
    name: 'reviews-v1-0',
    namespace: 'shop',
    service: 'reviews',
    version: 'v1',
    spiffeId: 'spiffe://cluster.local/ns/shop/sa/reviews',
    pid: 42,
    app: place(1),
    inbound: place(2),
    ready: true,
  },
  {
    name: 'client-0',
    namespace: 'default',
    service: 'client',
    version: '',
    spiffeId: 'spiffe://cluster.local/ns/default/sa/client',
    pid: null,
    app: null,
    inbound: null,
    ready: false,
  },
];
const diagnostic = (severity: string, object: string, line: number) => ({
  severity,
  code: 'IST0106',
  object,
  file: 'a.yaml',
  line,
  path: 'spec.hosts',
  message: 'must name a host',
});
const item = (name: string, namespace: string, status: string, message: string) => ({
  kind: 'VirtualService',
  metadata: { name, namespace },
  status: { conditions: [{ type: 'Accepted', status, message }], origin: 'a.yaml:1' },
});
const answers: Record<string, unknown> = {};
const server = http.createServer((request, response) => {
  const answer = answers[request.url!];
  response.statusCode = answer === undefined ? 404 : 200;
  response.end(answer === undefined ? 'not here\n' : JSON.stringify(answer));
});
const base = mkdtempSync(join(tmpdir(), 'lateen-get-'));
let url = '';
before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  answers['/api/workloads'] = workloads;
  answers['/api/objects/virtualservices'] = {
    apiVersion: 'v1',
    kind: 'List',
    items: [item('web', 'shop', 'True', ''), item('web', 'default', 'False', 'must name a host')],
  };
  answers['/api/diagnostics'] = [];
});
after(() => {
  server.close();
  server.closeAllConnections();
  rmSync(base, { recursive: true, force: true });
});
const get = (...args: string[]) => runLateen('get', ...args, '--control', url);

describe('get workloads', () => {
  it('prints a table', async () => {
    const { code, stdout } = await get('workloads');
    assert.equal(code, 0);
    assert.deepEqual(
      stdout.split('\n').map((line) => line.split(/ {2,}/)),
      [
        ['NAMESPACE', 'NAME', 'VERSION', 'READY', 'PID', 'APPLICATION', 'INBOUND', 'IDENTITY'],
        [
          'shop',
          'reviews-v1-0',
          'v1',
          'yes',
          '42',
          '127.0.0.1:1',
          '127.0.0.1:2',
          'spiffe://cluster.local/ns/shop/sa/reviews',
        ],
        ['default', 'client-0', '-', 'no', '-', '-', '-', 'spiffe://cluster.local/ns/default/sa/client'],
        [''],
      ],
    );
  });

  it('prints JSON and YAML of the same', async () => {
    assert.deepEqual(JSON.parse((await get('wl', '-o', 'json')).stdout), workloads);
    assert.deepEqual(parse((await get('workload', '-o', 'yaml')).stdout), workloads);
  });

  it('finds those of a name, a service or a namespace', async () => {
    const names = async (...args: string[]) =>
      (JSON.parse((await get('workloads', ...args, '-o', 'json')).stdout) as typeof workloads).map(({ name }) => name);
    assert.deepEqual(await names('reviews-v1-0'), ['reviews-v1-0']);
    assert.deepEqual(await names('reviews'), ['reviews-v1-0']);
    assert.deepEqual(await names('-n', 'default'), ['client-0']);
    assert.deepEqual(await names('reviews', '-n', 'default'), []);
  });

  it('ends with 1 where there is none of that name', async () => {
    const { code, stderr } = await get('workloads', 'nobody');
    assert.deepEqual([code, stderr], [1, 'lateen: there is no workload named nobody\n']);
    assert.equal((await get('workloads', '-n', 'empty')).code, 0);
  });
});

describe('get of a kind', () => {
  it('prints a table of what is accepted and what is not', async () => {
    const { code, stdout } = await get('vs');
    assert.equal(code, 0);
    assert.deepEqual(
      stdout.split('\n').map((line) => line.split(/ {2,}/)),
      [
        ['NAMESPACE', 'NAME', 'ACCEPTED', 'ORIGIN', 'MESSAGE'],
        ['shop', 'web', 'True', 'a.yaml:1'],
        ['default', 'web', 'False', 'a.yaml:1', 'must name a host'],
        [''],
      ],
    );
  });

  it('prints a List with the one that is asked for', async () => {
    const { stdout } = await get('VirtualService', 'web', '-n', 'shop', '-o', 'json');
    const list = JSON.parse(stdout) as { kind: string; items: { metadata: object }[] };
    assert.deepEqual(
      [list.kind, list.items.map(({ metadata }) => metadata)],
      ['List', [{ name: 'web', namespace: 'shop' }]],
    );
  });

  it('ends with 1 where there is none of that name', async () => {
    const { code, stderr } = await get('virtualservices', 'nobody');
    assert.deepEqual([code, stderr], [1, 'lateen: there is no VirtualService named nobody\n']);
  });

  it('ends with 2 where there is no such kind, with the one that was meant', async () => {
    const { code, stderr } = await get('virtualservces');
    assert.equal(code, 2);
    assert.match(stderr, /^lateen: there is no kind virtualservces; did you mean virtualservices\? /);
  });
});

describe('get diagnostics', () => {
  it('says so where there are none', async () => {
    const { code, stdout } = await get('diagnostics');
    assert.deepEqual([code, stdout], [0, 'no diagnostics: everything is in force as written\n']);
    assert.equal((await get('diag', '-o', 'json')).stdout, '[]\n');
  });

  it('ends with 1 where errors are among them, and with 0 where only warnings are', async () => {
    answers['/api/diagnostics'] = [
      diagnostic('error', 'VirtualService/shop/web', 7),
      diagnostic('warning', 'VirtualService/default/web', 0),
    ];
    const { code, stdout } = await get('diagnostics');
    assert.equal(code, 1);
    assert.deepEqual(
      stdout
        .split('\n')
        .slice(1)
        .map((line) => line.split(/ {2,}/)),
      [
        ['error', 'IST0106', 'a.yaml:7', 'VirtualService/shop/web', 'spec.hosts', 'must name a host'],
        ['warning', 'IST0106', 'a.yaml', 'VirtualService/default/web', 'spec.hosts', 'must name a host'],
        [''],
      ],
    );
    assert.equal((await get('diagnostics', '-n', 'default')).code, 0);
  });

  it('finds those of a name', async () => {
    answers['/api/diagnostics'] = [
      diagnostic('error', 'VirtualService/shop/web', 7),
      diagnostic('warning', 'VirtualService/shop/reviews', 1),
    ];
    const { code, stdout } = await get('diagnostics', 'reviews', '-o', 'json');
    assert.deepEqual(
      [code, (JSON.parse(stdout) as { object: string }[]).map(({ object }) => object)],
      [0, ['VirtualService/shop/reviews']],
    );
  });
});

describe('the mesh that is asked', () => {
  it('is found by the folder that it runs from', async () => {
    mkdirSync(join(base, '.lateen'));
    writeFileSync(join(base, '.lateen/run.json'), JSON.stringify({ url }));
    assert.equal((await runLateen('get', 'workloads', '-C', base)).code, 0);
  });

  it('is said not to run', async () => {
    const { code, stderr } = await runLateen('get', 'workloads', '-C', join(base, 'other'));
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^lateen: no mesh runs from .*other; start one with `lateen up DIR`, or name its folder with -C\n$/,
    );
  });

  it('is said not to answer, or what it answers', async () => {
    assert.match(
      (await runLateen('get', 'workloads', '--control', 'http://127.0.0.1:1')).stderr,
      /^lateen: the control plane at http:\/\/127\.0\.0\.1:1 does not answer \(.+\); is `lateen up` running\?\n$/,
    );
    assert.match((await get('dr')).stderr, /answered 404: not here\n$/);
  });

  it('may be named wrongly', async () => {
    for (const control of ['nonsense', 'http://'])
      assert.match((await runLateen('get', 'workloads', '--control', control)).stderr, /^lateen: .*--control/, control);
    mkdirSync(join(base, 'torn/.lateen'), { recursive: true });
    for (const text of ['{', '{}', 'null']) {
      writeFileSync(join(base, 'torn/.lateen/run.json'), text);
      const { code, stderr } = await runLateen('get', 'workloads', '-C', join(base, 'torn'));
      assert.equal(code, 1);
      assert.match(stderr, /^lateen: .*run\.json cannot be read: /, text);
    }
  });
});

describe('wrong use', () => {
  for (const args of [['get'], ['get', 'vs', '-o', 'xml'], ['get', 'vs', '--nope'], ['nope'], ['get', 'a', 'b', 'c']])
    it(`of lateen ${args.join(' ')} ends with 2 and points to the help`, async () => {
      const { code, stderr } = await runLateen(...args);
      assert.equal(code, 2);
      assert.match(stderr, /^error: .*\n[^]*--help/);
    });
});
