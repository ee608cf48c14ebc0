// Holds matchers to Envoy's documented semantics, case by case.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { RouteSchema } from '../../xds/messages.js';
import {
  compileHeaderMatcher,
  compileQueryMatcher,
  compileRegex,
  findQueryParameter,
  pathOnly,
  UnsupportedConfig,
  type RoutedRequest,
} from './matchers.js';

const request = (changes: Partial<RoutedRequest> = {}): RoutedRequest => ({
  method: 'GET',
  path: '/',
  authority: 'shop:8080',
  scheme: 'http',
  headers: [],
  ...changes,
});

function header(matcher: JsonObject, name = 'x') {
  const route = fromJson(RouteSchema, { match: { headers: [{ name, ...matcher }] } });
  const matches = compileHeaderMatcher(route.match!.headers[0]!);
  return (...values: string[]) => matches(request({ headers: values.flatMap((value) => ['x', value]) }));
}

function query(matcher: JsonObject) {
  const route = fromJson(RouteSchema, { match: { queryParameters: [{ name: 'q', ...matcher }] } });
  const matches = compileQueryMatcher(route.match!.queryParameters[0]!);
  return (path: string) => matches(request({ path }));
}

describe('a header', () => {
  it('exact means the whole value, case and all', () => {
    const matches = header({ stringMatch: { exact: 'Foo' } });
    assert.deepEqual([matches('Foo'), matches('foo'), matches('Foo '), matches()], [true, false, false, false]);
  });
  it('prefix, suffix and contains', () => {
    assert.equal(header({ stringMatch: { prefix: 'ab' } })('abc'), true);
    assert.equal(header({ stringMatch: { prefix: 'ab' } })('cab'), false);
    assert.equal(header({ stringMatch: { suffix: 'bc' } })('abc'), true);
    assert.equal(header({ stringMatch: { suffix: 'ab' } })('abc'), false);
    assert.equal(header({ stringMatch: { contains: 'b' } })('abc'), true);
    assert.equal(header({ stringMatch: { contains: 'd' } })('abc'), false);
  });
  for (const kind of ['exact', 'prefix', 'suffix', 'contains'])
    it(`${kind} ignores the case of letters where asked`, () =>
      assert.equal(header({ stringMatch: { [kind]: 'FoO', ignoreCase: true } })('fOo'), true));
  it('an expression matches the whole value', () => {
    const matches = header({ stringMatch: { safeRegex: { regex: 'a|b+' } } });
    assert.deepEqual([matches('a'), matches('bb'), matches('ab'), matches('xa')], [true, true, false, false]);
  });
  it('present and absent', () => {
    const present = header({ presentMatch: true });
    const absent = header({ presentMatch: false });
    assert.deepEqual([present(''), present(), absent(''), absent()], [true, false, false, true]);
  });
  it('inverted presence is absence', () => {
    const absent = header({ presentMatch: true, invertMatch: true });
    assert.deepEqual([absent('a'), absent()], [false, true]);
  });
  it('an inverted value does not match a header that is missing', () => {
    const other = header({ stringMatch: { exact: 'a' }, invertMatch: true });
    assert.deepEqual([other('b'), other('a'), other()], [true, false, false]);
  });
  it('that is missing counts as empty where that is said', () => {
    const notA = header({ stringMatch: { exact: 'a' }, invertMatch: true, treatMissingHeaderAsEmpty: true });
    const empty = header({ stringMatch: { exact: '' }, treatMissingHeaderAsEmpty: true });
    assert.deepEqual([notA(), notA('a'), empty(), empty('a')], [true, false, true, false]);
  });
  it('given several times is one value, joined by commas', () =>
    assert.equal(header({ stringMatch: { exact: 'a,b' } })('a', 'b'), true));
  it('is found whatever the case of its name', () =>
    assert.equal(header({ stringMatch: { exact: 'a' } }, 'X')('a'), true));
  for (const [name, value] of [
    [':method', 'GET'],
    [':path', '/'],
    [':authority', 'shop:8080'],
    ['Host', 'shop:8080'],
    [':scheme', 'http'],
  ] as const)
    it(`${name} is the request's`, () => assert.equal(header({ stringMatch: { exact: value } }, name)(), true));
  it('matched in a way that is not known is refused', () => {
    assert.throws(() => header({ rangeMatch: { start: '1', end: '2' } }), UnsupportedConfig);
    assert.throws(() => header({ stringMatch: {} }), UnsupportedConfig);
  });
});

describe('a query parameter', () => {
  it('is matched by its first value', () => {
    const matches = query({ stringMatch: { exact: 'a' } });
    assert.deepEqual(['/?q=a', '/?p=b&q=a', '/?q=a&q=b', '/?q=b&q=a', '/?q', '/?xq=a', '/q=a', '/'].map(matches), [
      true,
      true,
      true,
      false,
      false,
      false,
      false,
      false,
    ]);
  });
  it('is matched by an expression as a whole', () => {
    const matches = query({ stringMatch: { safeRegex: { regex: '[0-9]+' } } });
    assert.deepEqual([matches('/?q=12'), matches('/?q=12a')], [true, false]);
  });
  it('is present with and without a value', () => {
    const matches = query({ presentMatch: true });
    assert.deepEqual([matches('/?q'), matches('/?q='), matches('/?p')], [true, true, false]);
  });
  it('is read undecoded', () => {
    assert.equal(findQueryParameter('/?q=a%20b', 'q'), 'a%20b');
    assert.equal(findQueryParameter('/?q=a=b&c', 'q'), 'a=b');
    assert.equal(findQueryParameter('/?', 'q'), undefined);
    assert.equal(findQueryParameter('/?a?q=1', 'q'), undefined);
  });
});

it('an expression that would take others for ever is matched at once', () =>
  assert.equal(compileRegex('(a+)+b')('a'.repeat(5000)), false));

it('an expression that does not exist in this syntax is refused', () => assert.throws(() => compileRegex('(?=a)')));

it('a path ends at its query', () => assert.deepEqual(['/a?b?c', '/a', '?', ''].map(pathOnly), ['/a', '/a', '', '']));
