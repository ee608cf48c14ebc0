// RBAC filters as any control plane may send them: what they decide, what they say, and what is refused.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { connectionOf, policiesOf, requestOf, type Asked } from '../../../test/harness/authorization.js';
import { UnsupportedConfig } from '../http/matchers.js';

const any = [{ any: true }];
const rules = (permissions: JsonObject[], principals: JsonObject[] = any, action = 'ALLOW'): JsonObject => ({
  action,
  policies: { p: { permissions, principals } },
});
const permits = (permission: JsonObject, asked: Asked = {}, port = 80) =>
  policiesOf(rules([permission]))!.findDenial(connectionOf(asked, port), requestOf(asked)) === undefined;
const admits = (principal: JsonObject, asked: Asked = {}) =>
  policiesOf(rules(any, [principal]))!.findDenial(connectionOf(asked, 80), requestOf(asked)) === undefined;
const admitsBytes = (principal: JsonObject, asked: Asked = {}) =>
  policiesOf(rules(any, [principal]))!.findDenial(connectionOf(asked, 80), undefined) === undefined;

describe('policies', () => {
  const denial = (json: JsonObject, asked: Asked = {}) =>
    policiesOf(json)!.findDenial(connectionOf(asked, 80), requestOf(asked));
  const never = { notRule: { any: true } };

  it('of no filters are none', () => assert.equal(policiesOf(), undefined));
  it('that are empty deny', () => assert.equal(denial({})?.policy, 'none'));
  it('of DENY that are empty allow', () => assert.equal(denial({ action: 'DENY' }), undefined));
  it('name the first that matches, in the order of names', () => {
    const all = { permissions: any, principals: any };
    const policies = { 'rule[10]': all, 'rule[2]': all, a: { permissions: [never], principals: any } };
    assert.equal(denial({ action: 'DENY', policies })?.policy, 'rule[10]');
  });
  it('need one of the permissions and one of the principals', () => {
    const both = (permissions: JsonObject[], principals: JsonObject[]) =>
      denial(rules(permissions, principals)) === undefined;
    assert.equal(both([never, { any: true }], [{ notId: { any: true } }, { any: true }]), true);
    assert.equal(both([never], any), false);
    assert.equal(both(any, [{ notId: { any: true } }]), false);
  });

  it('say who denied in one word and by object', () => {
    const named = (name: string, action = 'DENY') =>
      denial({ action, policies: { [name]: { permissions: action === 'DENY' ? any : [never], principals: any } } })!;
    const { policy, details, objects } = named('ns[shop]-policy[no-admin.v1]-rule[0]');
    assert.equal(policy, 'ns[shop]-policy[no-admin.v1]-rule[0]');
    assert.equal(details, 'rbac_access_denied_matched_policy[ns[shop]-policy[no-admin.v1]-rule[0]]');
    assert.equal(objects, 'AuthorizationPolicy/shop/no-admin.v1');
    assert.deepEqual(named('ns[shop]-policy[a]-rule[0]', 'ALLOW'), {
      policy: 'none',
      details: 'rbac_access_denied_matched_policy[none]',
      objects: 'AuthorizationPolicy/shop/a',
    });
    assert.equal(named('two words').details, 'rbac_access_denied_matched_policy[two_words]');
    assert.equal(named('a\r\nx: y').objects, '', 'no name that somebody made up gets into a header');
  });

  it('that allow are named once each, and not endlessly', () => {
    const policies = Object.fromEntries(
      Array.from({ length: 20 }, (_, i) => [
        `ns[shop]-policy[p${i % 10}]-rule[${i}]`,
        { permissions: [never], principals: any },
      ]),
    );
    const { objects } = denial({ policies })!;
    assert.match(objects, /^AuthorizationPolicy\/shop\/p0, (AuthorizationPolicy\/shop\/p\d, ){7}\.\.\.$/);
  });
});

describe('permissions', () => {
  it('are combined by and, or, not', () => {
    const get: JsonObject = { header: { name: ':method', stringMatch: { exact: 'GET' } } };
    const admin: JsonObject = { urlPath: { path: { prefix: '/admin' } } };
    const both = { andRules: { rules: [get, admin] } };
    const either = { orRules: { rules: [get, admin] } };
    assert.deepEqual(
      [{ path: '/admin' }, { path: '/' }, { path: '/admin', method: 'PUT' }, { path: '/', method: 'PUT' }].map(
        (asked) => [permits(both, asked), permits(either, asked), permits({ notRule: either }, asked)],
      ),
      [
        [true, true, false],
        [false, true, false],
        [false, true, false],
        [false, false, true],
      ],
    );
  });
  it('by port and range of ports, whose end is outside', () => {
    assert.deepEqual(
      [80, 81].map((port) => permits({ destinationPort: 80 }, {}, port)),
      [true, false],
    );
    const ports = { destinationPortRange: { start: 80, end: 82 } };
    assert.deepEqual(
      [79, 80, 81, 82].map((port) => permits(ports, {}, port)),
      [false, true, true, false],
    );
  });
  it('by server name, which is empty where none was asked for', () => {
    assert.equal(permits({ requestedServerName: { exact: 'a' } }, { sni: 'a' }), true);
    assert.equal(permits({ requestedServerName: { exact: 'a' } }), false);
    assert.equal(permits({ requestedServerName: { exact: '' } }), true);
  });
  it('by path matcher, in any of its forms', () => {
    const path = (matcher: JsonObject) => permits({ urlPath: { path: matcher } }, { path: '/a/B?c' });
    assert.deepEqual(
      [
        { exact: '/a/B' },
        { exact: '/a/b', ignoreCase: true },
        { contains: 'a/' },
        { safeRegex: { regex: '/./.' } },
      ].map(path),
      [true, true, true, true],
    );
    assert.equal(path({ suffix: 'c' }), false);
  });
});

describe('principals', () => {
  it('are proved, by any or by a name', () => {
    assert.equal(admits({ authenticated: {} }, { from: 'a/b' }), true);
    assert.equal(admits({ authenticated: {} }), false);
    const name = (matcher: JsonObject) => admits({ authenticated: { principalName: matcher } }, { from: 'a/b' });
    assert.deepEqual(
      [
        { exact: 'spiffe://cluster.local/ns/a/sa/b' },
        { prefix: 'spiffe://cluster.local/ns/a/' },
        { suffix: '/sa/b' },
        { contains: '/ns/a/' },
        { safeRegex: { regex: '.*/ns/[a]/.*' } },
      ].map(name),
      [true, true, true, true, true],
    );
    assert.equal(name({ exact: 'unknown' }), false);
    assert.equal(admits({ authenticated: { principalName: { exact: 'unknown' } } }), false, 'nobody is called that');
  });
  it('are combined by and, or, not', () => {
    const web: JsonObject = { authenticated: { principalName: { suffix: '/sa/web' } } };
    const near: JsonObject = { directRemoteIp: { addressPrefix: '10.0.0.0', prefixLen: 8 } };
    assert.equal(admits({ andIds: { ids: [web, near] } }, { from: 'a/web' }), true);
    assert.equal(admits({ andIds: { ids: [web, near] } }, { from: 'a/web', ip: '11.0.0.1' }), false);
    assert.equal(admits({ orIds: { ids: [web, near] } }, { ip: '11.0.0.1' }), false);
    assert.equal(admits({ notId: web }), true);
    assert.equal(admits({ sourceIp: { addressPrefix: '10.0.0.0', prefixLen: 8 } }), true);
    const forwarded = ['x-forwarded-for', '11.0.0.1'];
    const remoteIp = { remoteIp: { addressPrefix: '11.0.0.0', prefixLen: 8 } };
    assert.equal(admits(remoteIp, { headers: forwarded }), false, 'no header tells an address');
    assert.equal(admits(remoteIp, { ip: '11.0.0.1' }), true);
  });
  it('have headers, each of several values for itself', () => {
    const header = (matcher: JsonObject, ...headers: string[]) =>
      admits({ header: { name: 'X-A', ...matcher } }, { headers });
    assert.equal(header({ stringMatch: { exact: '1' } }, 'x-a', '2', 'x-a', '1'), true);
    assert.equal(header({ stringMatch: { exact: '2,1' } }, 'x-a', '2', 'x-a', '1'), false);
    assert.equal(header({ stringMatch: { exact: '1' }, invertMatch: true }, 'x-a', '2', 'x-a', '1'), false);
    assert.equal(header({ stringMatch: { exact: '1' }, invertMatch: true }, 'x-a', '2'), true);
    assert.equal(header({ stringMatch: { exact: '1' }, invertMatch: true }), false);
    assert.equal(header({ stringMatch: { exact: '1' }, invertMatch: true, treatMissingHeaderAsEmpty: true }), true);
    assert.equal(header({ stringMatch: { exact: '' }, treatMissingHeaderAsEmpty: true }), true);
    assert.equal(header({ presentMatch: true }, 'x-a', ''), true);
    assert.equal(header({ presentMatch: false }), true);
  });
  it('on bytes have neither headers nor paths', () => {
    for (const principal of [
      { header: { name: ':method', presentMatch: true } },
      { urlPath: { path: { prefix: '/' } } },
    ])
      assert.deepEqual(
        [admits(principal), admitsBytes(principal), admitsBytes({ notId: principal })],
        [true, false, true],
      );
  });
});

describe('what is not understood is refused', () => {
  const metadata = { filter: 'a', path: [{ key: 'b' }], value: { presentMatch: true } };
  const extension = {
    name: 'a',
    typedConfig: {
      '@type': 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig',
      pathTemplate: '/a',
    },
  };
  for (const [what, json] of [
    ['the action LOG', rules(any, any, 'LOG')],
    ['audit loggers', { auditLoggingOptions: {} }],
    ['an expression', { policies: { p: { permissions: any, principals: any, condition: {} } } }],
    ['no permissions', rules([])],
    ['no principals', rules(any, [])],
    ['an empty permission', rules([{}])],
    ['an empty principal', rules(any, [{}])],
    ['metadata of a request', rules([{ metadata }])],
    ['metadata of a caller', rules(any, [{ metadata }])],
    ['filter state', rules(any, [{ filterState: { key: 'a', stringMatch: { exact: 'b' } } }])],
    ['other matchers', rules([{ matcher: extension }])],
    ['other path matchers', rules([{ uriTemplate: { name: 'a' } }])],
    [
      'variables in path templates',
      rules([{ uriTemplate: { ...extension, typedConfig: { ...extension.typedConfig, pathTemplate: '/{a=*}' } } }]),
    ],
    ['a path without matcher', rules([{ urlPath: {} }])],
  ] as [string, JsonObject][])
    it(what, () => assert.throws(() => policiesOf(json), UnsupportedConfig));
});
