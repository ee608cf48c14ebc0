// Holds paths to one form: what an application takes for the same path is the same for routes and policies.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { normalize } from './normalize-path.js';

for (const [path, expected] of [
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
  ['/a//b', '/a//b'],
  ['/a//../b', '/a/b'],
  ['/%61%2D%5f%7E', '/a-_~'],
  ['/%2e%2E/a', '/a'],
  ['/a/%2e%2e%2fb', '/a/..%2fb'],
  ['/a%2Fb', '/a%2Fb'],
  ['/%252e', '/%252e'],
  ['/%zz%', '/%zz%'],
  ['/a\\..\\b', '/b'],
  ['/a?b=/../%61', '/a?b=/../%61'],
  ['/x/..?/../y', '/?/../y'],
] as const)
  it(`${path} is ${expected}`, () => assert.equal(normalize(path), expected));

it('a path in its form stays, and no dots are left to climb with', () =>
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('/', '.', '..', '%2e', '%2E', '%2f', '\\', 'a', '%61', '%'), maxLength: 12 }),
      (rest) => {
        const once = normalize(`/${rest}`);
        assert.equal(normalize(once), once);
        assert.doesNotMatch(once, /\/\.\.?(\/|$)/);
        assert.equal(once[0], '/');
      },
    ),
    { numRuns: 500 },
  ));
