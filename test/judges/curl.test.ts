// curl through the pair of proxies, in every version of HTTP that it speaks: what it asks is what the application sees, and what
// the application answers is what curl prints.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Echo } from '../harness/http.js';
import { app, TestMesh } from '../harness/mesh.js';
import { strictMtls } from './mesh-objects.js';
import { runTool, requireTools, skipWithout } from './peers.js';

interface Printed {
  readonly version: string;
  readonly status: number;
  readonly connects: number;
  /** Heads as `-D` prints them, trailers too. */
  readonly heads: string;
  readonly body: string;
}

const versions = {
  'HTTP/1.0': { flag: '--http1.0', answers: '1.1' },
  'HTTP/1.1': { flag: '--http1.1', answers: '1.1' },
  'HTTP/2 in clear text': { flag: '--http2-prior-knowledge', answers: '2' },
} as const;

it('curl: the judge is there', { skip: skipWithout('curl') }, () => requireTools('curl'));

describe('curl', { skip: skipWithout('curl') }, () => {
  let mesh: TestMesh;
  let folder: string;
  let url: string;
  let outbound: number;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'curl-'));
    mesh = await TestMesh.start({
      'mesh.yaml': `
services:
  web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }
  picky: { port: 8080, protocol: http, command: ${JSON.stringify(app('expecting.mjs'))} }
  client: { command: sleep 1000 }
`,
      'strict.yaml': strictMtls,
    });
    const client = mesh.workload('client-0');
    url = `http://127.0.0.1:${client.upstreams['web']}`;
    outbound = client.outboundHttp.port;
    writeFileSync(join(folder, 'upload'), Buffer.alloc(3 * 1024 * 1024, 0x61));
  });
  after(async () => {
    await mesh?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const curl = async (...args: readonly string[]): Promise<Printed> => {
    const heads = join(folder, 'heads');
    const format = '\n%{http_version} %{http_code} %{num_connects}';
    const { code, stdout, stderr } = await runTool('curl', [
      '-sS',
      '-D',
      heads,
      '-w',
      format,
      '--max-time',
      '30',
      ...args,
    ]);
    assert.equal(code, 0, `curl ${args.join(' ')}: ${stderr}`);
    const at = stdout.lastIndexOf('\n');
    const [version = '', status, connects] = stdout.slice(at + 1).split(' ');
    return {
      version,
      status: Number(status),
      connects: Number(connects),
      heads: readFileSync(heads, 'latin1'),
      body: stdout.slice(0, at),
    };
  };
  const echo = (printed: Printed): Echo & { readonly rawHeaders: readonly string[]; readonly trailers: object } => {
    assert.equal(printed.status, 200, printed.body);
    return JSON.parse(printed.body) as never;
  };

  for (const [name, { flag, answers }] of Object.entries(versions))
    describe(name, () => {
      it('a request and its answer', async () => {
        const printed = await curl(flag, `${url}/some/path?a=b`, '-H', 'X-Asked: yes', '-b', 'a=1; b=2');
        assert.equal(printed.version, answers);
        const seen = echo(printed);
        assert.deepEqual([seen.method, seen.url], ['GET', '/some/path?a=b']);
        assert.equal(seen.headers['x-asked'], 'yes');
        assert.equal(seen.headers['cookie'], 'a=1; b=2');
        assert.match(seen.headers['host'] ?? '', /^web\b/);
        assert.match(seen.headers['user-agent'] ?? '', /^curl\//);
      });

      it('a body of three megabytes, in whole and through a pipe', async () => {
        const file = join(folder, 'upload');
        assert.equal((await curl(flag, '-T', file, `${url}/size`)).body, '3145728\n');
        // HTTP/1.0 has no way to send a body whose length is not known.
        if (flag === '--http1.0') return;
        const { stdout } = await runTool('curl', ['-sS', flag, '-T', '-', `${url}/size`], {
          input: Buffer.alloc(1 << 20),
        });
        assert.equal(stdout, '1048576\n');
      });

      it('an answer of a megabyte, one that comes in parts, one without body', async () => {
        assert.equal((await curl(flag, `${url}/bytes/1048576`)).body.length, 1_048_576);
        assert.match((await curl(flag, `${url}/stream/20`)).body, /^part 19\n[^]*part 0\n$/);
        const { status, body } = await curl(flag, '-I', '-o', '/dev/null', `${url}/bytes/10`);
        assert.deepEqual([status, body], [200, '']);
        assert.equal((await curl(flag, `${url}/status/204`)).status, 204);
        assert.equal((await curl(flag, `${url}/status/304`)).status, 304);
      });

      it('statuses of the application', async () => {
        for (const code of [201, 302, 400, 404, 418, 500, 503])
          assert.equal((await curl(flag, `${url}/status/${code}`)).status, code);
      });

      it('--path-as-is: dots are resolved once, before anybody decides on the path', async () => {
        const { url: path } = echo(await curl(flag, '--path-as-is', `${url}/a/../b/./c%2e?d=../e`));
        assert.equal(path, '/b/c.?d=../e');
      });

      it('methods beyond the usual, and OPTIONS *', async () => {
        assert.equal(echo(await curl(flag, '-X', 'PROPFIND', `${url}/dav`)).method, 'PROPFIND');
        const seen = echo(await curl(flag, '-X', 'OPTIONS', '--request-target', '*', url));
        assert.deepEqual([seen.method, seen.url], ['OPTIONS', '*']);
      });

      if (flag !== '--http1.0') {
        it('trailers of the answer', async () => {
          const { heads } = await curl(flag, `${url}/trailers`);
          assert.match(heads, /x-checksum: abc/i);
        });

        it('Expect: 100-continue is answered by the application, not by its time', async () => {
          const started = performance.now();
          const expect = ['-H', 'Expect: 100-continue', '--expect100-timeout', '25'];
          const printed = await curl(flag, ...expect, '-T', join(folder, 'upload'), `${url}/size`);
          assert.equal(printed.body, '3145728\n');
          assert.ok(performance.now() - started < 20_000, 'it waited for its own timer');
          if (flag === '--http1.1') assert.match(printed.heads, /^HTTP\/1\.1 100 /);
        });

        it('an interim answer comes before the answer', async () => {
          assert.match((await curl(flag, `${url}/early`)).heads, /^HTTP\/[\d.]+ 103 [^]*HTTP\/[\d.]+ 200/);
        });

        it('three requests over one connection', async () => {
          const { stdout } = await runTool('curl', [
            '-sS',
            flag,
            '-w',
            '%{num_connects}\n',
            '-o',
            '/dev/null',
            ...[1, 2, 3].flatMap((i) => [...(i > 1 ? ['-o', '/dev/null'] : []), `${url}/bytes/${i}`]),
          ]);
          assert.deepEqual(stdout.trim().split('\n'), ['1', '0', '0']);
        });
      }
    });

  it('Expect: 100-continue refused by the application: its answer, and no body', async () => {
    const picky = `http://127.0.0.1:${mesh.workload('client-0').upstreams['picky']}/`;
    const expect = ['-H', 'Expect: 100-continue', '--expect100-timeout', '25'];
    const printed = await curl('--http1.1', ...expect, '-T', join(folder, 'upload'), picky);
    assert.deepEqual([printed.status, printed.body], [417, 'no\n']);
  });

  it('an offer to change to HTTP/2 is not taken, and the application never hears of it', async () => {
    const printed = await curl('--http2', `${url}/upgrade`);
    assert.equal(printed.version, '1.1');
    const names = Object.keys(echo(printed).headers);
    assert.deepEqual(
      names.filter((header) => ['upgrade', 'http2-settings'].includes(header)),
      [],
    );
  });

  it('a proxy setting: the absolute form, and CONNECT', async () => {
    for (const tunnel of [[], ['-p']]) {
      const seen = echo(await curl('-x', `http://127.0.0.1:${outbound}`, ...tunnel, 'http://web.default:8080/proxied'));
      assert.deepEqual([seen.name, seen.url], ['echo', '/proxied']);
    }
  });

  it('a whole URL as request target goes to the host that it names', async () => {
    const args = ['--request-target', 'http://web/absolute', `http://127.0.0.1:${outbound}/`];
    assert.equal(echo(await curl('--http1.1', ...args)).url, '/absolute');
  });

  it('a header of the PROXY protocol is no request', async () => {
    const { stdout } = await runTool('curl', ['-s', '--haproxy-protocol', '-w', '%{http_code}', `${url}/`]);
    assert.match(stdout, /(000|400)$/);
  });
});
