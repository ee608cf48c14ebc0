// A DENY on /admin* against every way of writing a path: in each form that paths can get, it denies exactly what an application
// that reads paths in that way takes for /admin, and never does an allowed request reach the application as /admin.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { policiesOf } from '../../../test/harness/authorization.js';
import { closeProxies, get, proxy } from '../../../test/harness/memory-proxy.js';
import type { PathForm } from '../http/layers/normalize-path.js';

afterEach(closeProxies);

const deny = policiesOf({
  action: 'DENY',
  policies: { p: { permissions: [{ urlPath: { path: { prefix: '/admin' } } }], principals: [{ any: true }] } },
})!;

/** Envoy's switches for Istio's modes, and which of the ways to write a path an application of that mode understands. */
const modes = {
  NONE: { normalizePath: false, mergeSlashes: false, unescapeSlashes: false },
  BASE: { normalizePath: true, mergeSlashes: false, unescapeSlashes: false },
  MERGE_SLASHES: { normalizePath: true, mergeSlashes: true, unescapeSlashes: false },
  DECODE_AND_MERGE_SLASHES: { normalizePath: true, mergeSlashes: true, unescapeSlashes: true },
} satisfies Record<string, PathForm>;
type Mode = keyof typeof modes;

/** The path that reached the application, or the status with which the request was refused. */
async function send(path: string, mode: Mode): Promise<string> {
  const through = proxy({ settings: { ...modes[mode], direction: 'inbound', policies: deny } });
  const answer = await through.send(get(path));
  if (answer !== '') return /^HTTP\/1\.1 (\d+)/.exec(answer)![1]!;
  const server = await through.connect();
  return /^GET (\S+) HTTP/.exec(server.sent)![1]!;
}

/** One column a mode: denied (403), refused (400), or what the application is asked for. */
const table: readonly (readonly [path: string, none: string, base: string, merge: string, decode: string])[] = [
  ['/admin', '403', '403', '403', '403'],
  ['/admin/', '403', '403', '403', '403'],
  ['/admin/users', '403', '403', '403', '403'],
  ['/admin?x', '403', '403', '403', '403'],
  ['/admin;v=1', '403', '403', '403', '403'],
  ['/administrator', '403', '403', '403', '403'],
  ['/Admin', '/Admin', '/Admin', '/Admin', '/Admin'],
  ['/?/admin', '/?/admin', '/?/admin', '/?/admin', '/?/admin'],
  ['//admin', '//admin', '//admin', '403', '403'],
  ['/.//admin', '/.//admin', '//admin', '403', '403'],
  ['/./admin', '/./admin', '403', '403', '403'],
  ['/x/../admin', '/x/../admin', '403', '403', '403'],
  ['/x/..;a/admin', '/x/..;a/admin', '403', '403', '403'],
  ['/../admin', '/../admin', '403', '403', '403'],
  ['/%2e/admin', '/%2e/admin', '403', '403', '403'],
  ['/x/%2e%2E/admin', '/x/%2e%2E/admin', '403', '403', '403'],
  ['/x/.%2e/admin', '/x/.%2e/admin', '403', '403', '403'],
  ['/%61dmin', '/%61dmin', '403', '403', '403'],
  ['/adm%69n', '/adm%69n', '403', '403', '403'],
  ['/%2fadmin', '/%2fadmin', '/%2fadmin', '/%2fadmin', '403'],
  ['/x%2f..%2fadmin', '/x%2f..%2fadmin', '/x%2f..%2fadmin', '/x%2f..%2fadmin', '403'],
  ['/x%5c..%5Cadmin', '/x%5c..%5Cadmin', '/x%5c..%5Cadmin', '/x%5c..%5Cadmin', '403'],
  ['/%5cadmin', '/%5cadmin', '/%5cadmin', '/%5cadmin', '403'],
  ['/%252fadmin', '/%252fadmin', '/%252fadmin', '/%252fadmin', '/%252fadmin'],
  ['/%2561dmin', '/%2561dmin', '/%2561dmin', '/%2561dmin', '/%2561dmin'],
  ['/admin%00', '403', '400', '400', '400'],
  ['/x\\..\\admin', '400', '400', '400', '400'],
  ['/admin#f', '400', '400', '400', '400'],
  ['/admin/../x', '403', '/x', '/x', '/x'],
  ['/admin/..%2fx', '403', '403', '403', '/x'],
];

describe('a DENY on /admin*', () => {
  for (const [path, ...expected] of table)
    it(`makes ${expected.join(', ')} of ${path}`, async () => {
      const modeNames = Object.keys(modes) as Mode[];
      const outcomes: string[] = [];
      for (const mode of modeNames) outcomes.push(await send(path, mode));
      assert.deepEqual(outcomes, expected);
    });

  const pieces = ['/', '//', '/./', '/../', 'x', '%2e', '%2E', '.', '%2f', '%2F', '%5c', ';', ';a', '?', '%', '%25'];
  const names = [
    'admin',
    'Admin',
    '%61dmin',
    'ADMIN',
    'admi%6E',
    'admin/',
    'admin%2f',
    'a%2564min',
    'admin;q',
    'admin?',
  ];
  const paths = fc
    .array(fc.oneof(fc.constantFrom(...pieces), fc.constantFrom(...names)), { maxLength: 8 })
    .map((parts) => `/${parts.join('')}`);

  for (const mode of Object.keys(modes) as Mode[])
    it(`denies in ${mode} exactly what an application that reads paths so takes for /admin`, () =>
      fc.assert(
        fc.asyncProperty(paths, async (path) => {
          const outcome = await send(path, mode);
          const meant = readAs(path, mode);
          assert.equal(outcome === '403', meant.startsWith('/admin'), `${outcome}, meant is ${meant}`);
          // What the application is asked for is what was judged: it reads the same once more.
          if (outcome !== '403') assert.equal(readAs(outcome, mode), meant);
          assert.ok(!outcome.startsWith('/admin'));
        }),
        { numRuns: 400 },
      ));
});

/** How an application reads a path that resolves as much as the mode promises; written as a plain walk over the segments. */
function readAs(target: string, mode: Mode): string {
  const { normalizePath, mergeSlashes, unescapeSlashes } = modes[mode];
  const [path = ''] = target.split('?');
  if (!normalizePath) return path;
  const text: string[] = [];
  const lone: number[] = [];
  for (let i = 0; i < path.length; i++) {
    const escape = /^%([0-9a-f]{2})/i.exec(path.slice(i));
    const character = escape === null ? undefined : String.fromCharCode(Number.parseInt(escape[1]!, 16));
    const decodes =
      character !== undefined && (/[\w.~-]/.test(character) || (unescapeSlashes && /[/\\]/.test(character)));
    if (decodes) {
      text.push(character === '\\' ? '/' : character);
      i += 2;
    } else if (path[i] === '%' && escape === null) lone.push(text.push('%') - 1);
    else text.push(path[i] === '\\' ? '/' : path[i]!);
  }
  // A `%` for itself is written as one where it would be taken for the beginning of an escape.
  for (const at of lone) if (/^%[0-9a-f]{2}/i.test(text.slice(at).join(''))) text[at] = '%25';
  const walked: string[] = [];
  const segments = text.join('').slice(1).split('/');
  for (const segment of segments) {
    const [name] = segment.split(';');
    if (name === '..') walked.pop();
    else if (name !== '.' || segment === '') walked.push(segment);
  }
  const [last = ''] = (segments.at(-1) ?? '').split(';');
  const joined = `/${walked.join('/')}${last === '.' || last === '..' ? '/' : ''}`.replace(/^\/\/$/, '/');
  return mergeSlashes ? joined.replace(/\/+/g, '/') : joined;
}
