// The command line as a person meets it: help, answers, errors with the next step, exit codes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { parse } from 'yaml';
import { app, eventually, program, TestMesh } from '../harness/mesh.js';

function lateen(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
}

describe('lateen without a mesh', () => {
  it('help names every command that works, with examples behind each', () => {
    const { status, stdout } = lateen('--help');
    assert.equal(status, 0);
    for (const command of ['up', 'get', 'proxy-status', 'proxy-config', 'completion']) {
      assert.match(stdout, new RegExp(`^  ${command}[ |]`, 'm'));
      assert.match(lateen(command, '--help').stdout, /Examples:\n/);
    }
    assert.doesNotMatch(stdout, /^ {2}(control|proxy) /m);
  });

  it('a misspelt command or option is wrong use, with a suggestion', () => {
    const command = lateen('gte');
    assert.equal(command.status, 2);
    assert.match(command.stderr, /unknown command 'gte'\n\(Did you mean get\?\)/);
    assert.equal(lateen('up', '--isolat').status, 2);
  });

  it('a number of workers that makes no sense is wrong use', () => {
    for (const workers of ['x', '-1', '1.5', '129', '0x2', '']) {
      const { status, stderr } = lateen('up', '--workers', workers);
      assert.equal(status, 2);
      assert.equal(
        stderr,
        `lateen: --workers takes a number from 1 to 128, or auto for one for each core; not ${workers || 'nothing'}\n`,
      );
    }
  });

  it('get says when no mesh runs, and what to do', () => {
    const { status, stderr } = lateen('get', 'workloads', '-C', '/');
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^lateen: no mesh runs from \/; start one with `lateen up DIR`, or name its folder with -C\n$/,
    );
    assert.match(
      lateen('get', 'workloads', '--control', 'http://127.0.0.1:9').stderr,
      /^lateen: the control plane at http:\/\/127\.0\.0\.1:9 does not answer \(.*\); is `lateen up` running\?\n$/,
    );
  });

  it('the version is that of the package', () => assert.match(lateen('--version').stdout, /^\d+\.\d+\.\d+\n$/));

  it('roles do not run on their own', () => {
    const { status, stderr } = lateen('proxy');
    assert.equal(status, 2);
    assert.match(stderr, /`lateen proxy` is started by `lateen up`/);
  });
});

describe('lateen get on a running mesh', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `services: { web: { namespace: shop, port: 80, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }, client: { command: sleep 1000 } }`,
      'policy.yaml':
        'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: strict, namespace: shop }\nspec: { mtls: { mode: STRICT } }\n',
    });
  });
  after(() => mesh.close());

  const get = (...args: string[]) => lateen('get', ...args, '-C', mesh.directory);

  it('workloads as JSON are what run.json holds', () => {
    assert.deepEqual(JSON.parse(get('workloads', '-o', 'json').stdout), mesh.run.workloads);
  });

  it('tables have a header and a row each, and can be narrowed', () => {
    const { stdout } = get('workloads');
    assert.match(stdout, /^NAMESPACE +NAME +VERSION +READY +PID +APPLICATION +INBOUND +IDENTITY\nshop +web-0 +- +yes /);
    assert.equal(get('workloads', '-n', 'shop').stdout.trim().split('\n').length, 2);
    assert.equal(get('workloads', 'web-0').stdout.trim().split('\n').length, 2);
  });

  it('objects print as a list in JSON and YAML, by any of their names', () => {
    for (const name of ['peerauthentications', 'peerauthentication', 'pa', 'PeerAuthentication']) {
      const list = JSON.parse(get(name, 'strict', '-n', 'shop', '-o', 'json').stdout) as {
        kind: string;
        items: unknown[];
      };
      assert.equal(list.kind, 'List');
      assert.deepEqual(list.items, [
        {
          apiVersion: 'security.istio.io/v1',
          kind: 'PeerAuthentication',
          metadata: { name: 'strict', namespace: 'shop', labels: {}, annotations: {} },
          spec: { mtls: { mode: 'STRICT' } },
          status: {
            conditions: [{ type: 'Accepted', status: 'True', reason: 'Accepted', message: 'in force' }],
            origin: 'policy.yaml:1',
          },
        },
      ]);
    }
    assert.deepEqual(parse(get('pa', '-o', 'yaml').stdout), JSON.parse(get('pa', '-o', 'json').stdout));
  });

  it('a name that does not exist is exit code 1, a kind that does not exist 2 with a suggestion', () => {
    const nobody = get('pa', 'nobody');
    assert.equal(nobody.status, 1);
    assert.match(nobody.stderr, /there is no PeerAuthentication named nobody/);
    const kind = get('virtualsevice');
    assert.equal(kind.status, 2);
    assert.match(kind.stderr, /there is no kind virtualsevice; did you mean virtualservice\?/);
  });

  it('diagnostics without errors are exit code 0', () => {
    const { status, stdout } = get('diagnostics');
    assert.equal(status, 0);
    assert.equal(stdout, 'no diagnostics: everything is in force as written\n');
    assert.equal(get('diagnostics', '-o', 'json').stdout, '[]\n');
  });

  it('proxies are synced with all that they should have, and show certificates', async () => {
    const { stdout } = await eventually(() => {
      const result = lateen('proxy-status', '-C', mesh.directory);
      return result.status === 0 && result;
    }, 'all in force');
    const [header, ...rows] = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    assert.deepEqual(header, [
      'NAMESPACE',
      'NAME',
      'CONNECTED',
      'LISTENERS',
      'ROUTES',
      'CLUSTERS',
      'ENDPOINTS',
      'CERTIFICATE UNTIL',
      'ERROR',
    ]);
    assert.deepEqual(rows.map(([, name]) => name).sort(), ['client-0', 'web-0']);
    for (const [, , connected, ...cells] of rows) {
      assert.equal(connected, 'yes');
      for (const cell of cells.slice(0, 4)) assert.match(cell, /^\d+ synced$/);
      assert.ok(Date.parse(cells[4]!) > Date.now());
      assert.equal(cells[5], '-');
    }
    const nobody = lateen('ps', 'nobody', '-C', mesh.directory);
    assert.deepEqual(
      [nobody.status, nobody.stderr],
      [1, 'lateen: there is no workload named nobody (`lateen get workloads` lists them)\n'],
    );
  });

  it('the status page is one document that loads nothing from outside and answers only this machine', async () => {
    const page = await fetch(mesh.run.url);
    assert.equal(page.status, 200);
    assert.match(page.headers.get('content-security-policy') ?? '', /^default-src 'none'; style-src 'sha256-/);
    const body = await page.text();
    assert.doesNotMatch(body, /(src|href)=/);
    const { request } = await import('../harness/http.js');
    const rebound = await request({ port: Number(new URL(mesh.run.url).port), headers: { host: 'evil.example' } });
    assert.equal(rebound.status, 403);
    assert.equal((await fetch(new URL('/readyz', mesh.run.url))).status, 200);
    assert.equal((await fetch(new URL('/api/workloads', mesh.run.url), { method: 'POST' })).status, 405);
  });
});
