// Holds paths to one form: what an application takes for the same path is the same for routes and policies.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { closeProxies, forwarded, get, proxy } from '../../../../test/harness/memory-proxy.js';
import { normalize, normalizePath, type PathForm } from './normalize-path.js';

const base: PathForm = { normalizePath: true, mergeSlashes: false, unescapeSlashes: false };
const merge: PathForm = { ...base, mergeSlashes: true };
const decode: PathForm = { ...merge, unescapeSlashes: true };

afterEach(closeProxies);

/** What Envoy 1.40 makes of each path in BASE, MERGE_SLASHES and DECODE_AND_MERGE_SLASHES. */
const asEnvoy: readonly (readonly [path: string, base: string, merge?: string, decode?: string])[] = [
  ['/', '/'],
  ['/a/b', '/a/b'],
  ['/a/./b', '/a/b'],
  ['/a/../b', '/b'],
  ['/a/b/..', '/a/'],
  ['/a/.', '/a/'],
  ['/..', '/'],
  ['/../../a', '/a'],
  ['/.hidden', '/.hidden'],
  ['/a..b', '/a..b'],
  ['/...', '/...'],
  ['/a//b', '/a//b', '/a/b', '/a/b'],
  ['///a//b', '///a//b', '/a/b', '/a/b'],
  ['/a//../b', '/a/b'],
  ['//..//a', '//a', '/a', '/a'],
  ['/..//a', '//a', '/a', '/a'],
  ['/a//', '/a//', '/a/', '/a/'],
  ['/%61%2D%5f%7E', '/a-_~'],
  ['/%41', '/A'],
  ['/%2e%2E/a', '/a'],
  ['/a/%2e%2e%2fb', '/a/..%2fb', '/a/..%2fb', '/b'],
  ['/a%2Fb', '/a%2Fb', '/a%2Fb', '/a/b'],
  ['/a%2f%2f..%5cb', '/a%2f%2f..%5cb', '/a%2f%2f..%5cb', '/a/b'],
  ['/%5c..%5ca', '/%5c..%5ca', '/%5c..%5ca', '/a'],
  ['/a%2fb?c=%2f//', '/a%2fb?c=%2f//', '/a%2fb?c=%2f//', '/a/b?c=%2f//'],
  ['/%252e', '/%252e'],
  ['/%252f', '/%252f'],
  ['/a%c0%ae', '/a%c0%ae'],
  ['/%zz%', '/%zz%'],
  ['/%%32%65', '/%252e'],
  ['/a%%30%30', '/a%2500'],
  ['/a%%%33%32', '/a%%2532'],
  ['/%%41', '/%A'],
  ['/%%34zz', '/%4zz'],
  ['/%a%34', '/%25a4'],
  ['/a\\..\\b', '/b'],
  ['/a"<>^`{|}', '/a%22%3C%3E%5E%60%7B%7C%7D'],
  ["/a!$&'()*+,;=:@[]", "/a!$&'()*+,;=:@[]"],
  ['/a?b=/../%61', '/a?b=/../%61'],
  ['/x/..?/../y', '/?/../y'],
  ['/x/..;/b', '/b'],
  ['/x/..;a=1;b/c', '/c'],
  ['/x/.;/b', '/x/b'],
  ['/x/.;a', '/x/'],
  ['/x/..;a', '/'],
  ['/x/...;/b', '/x/...;/b'],
  ['/x;/../b', '/b'],
  ['/x/;/b', '/x/;/b'],
  ['/x/..%3b/b', '/x/..%3b/b'],
  ['/x/..;%2fb', '/', '/', '/b'],
];

describe('a path', () => {
  for (const [path, ...expected] of asEnvoy)
    it(`${path} becomes ${expected.join(', ')}`, () => {
      const [inBase, inMerge = inBase, inDecode = inMerge] = expected;
      assert.deepEqual(
        [base, merge, decode].map((form) => normalize(path, form)),
        [inBase, inMerge, inDecode],
      );
    });

  for (const [path, expected, envoys] of [
    ['/x/%2e%2e;/b', '/b', '/x/..;/b, and /b at the next proxy'],
    ['/x/..%5c..;/b', '/b', '/..;/b, and /b at the next proxy'],
    ['//', '/', '//, though it merges all other slashes'],
  ] as const)
    it(`${path} is ${expected}, where Envoy makes ${envoys}`, () => assert.equal(normalize(path, decode), expected));

  it('with an escaped NUL has no form', () => {
    for (const form of [base, merge, decode]) assert.equal(normalize('/admin%00', form), undefined);
    assert.equal(normalize('/a?b=%00', base), '/a?b=%00');
    assert.equal(normalize('/%2500', decode), '/%2500');
  });

  it('is left as it comes where nothing is configured', () =>
    assert.equal(normalizePath({ normalizePath: false, mergeSlashes: false, unescapeSlashes: false }), undefined));

  it('may be merged without being resolved', () =>
    assert.equal(
      normalize('/a//.%2e//b', { normalizePath: false, mergeSlashes: true, unescapeSlashes: false }),
      '/a/.%2e/b',
    ));

  const pieces = ['/', '.', '..', '%2e', '%2E', '%2f', '%5C', '\\', 'a', '%61', '%', '3', '%33', ';', '"', '?'];
  const paths = fc.string({ unit: fc.constantFrom(...pieces), maxLength: 12 }).map((rest) => `/${rest}`);

  it('in its form stays, and no dots are left to climb with', () =>
    fc.assert(
      fc.property(paths, fc.constantFrom(base, merge, decode), (path, form) => {
        const once = normalize(path, form)!;
        assert.equal(normalize(once, form), once);
        const [only = ''] = once.split('?');
        assert.doesNotMatch(only, /\/\.\.?(;|\/|$)/);
        assert.equal(only[0], '/');
        if (form.mergeSlashes) assert.doesNotMatch(only, /\/\//);
        if (form.unescapeSlashes) assert.doesNotMatch(only, /%2f|%5c/i);
      }),
      { numRuns: 1000 },
    ));

  it('is looked at closely wherever that changes it', () =>
    fc.assert(
      fc.asyncProperty(paths, fc.constantFrom(base, merge, decode), async (path, settings) => {
        if (path.includes('\\')) return; // no request can have it
        const [line] = await forwarded({ settings }, get(path));
        assert.equal(line, `GET ${normalize(path, settings)} HTTP/1.1`);
      }),
      { numRuns: 300 },
    ));
});

describe('a request', () => {
  it('whose path has an escaped NUL is refused with 400', async () => {
    const through = proxy({ settings: { ...base, direction: 'inbound' } });
    assert.match(await through.send(get('/admin%00')), /^HTTP\/1\.1 400 Bad Request\r\n/);
    const [logged] = through.logged;
    assert.deepEqual([logged!.responseFlags, logged!.responseCodeDetails], ['-', 'path_normalization_failed']);
    assert.equal(through.servers.length, 0);
  });
});
