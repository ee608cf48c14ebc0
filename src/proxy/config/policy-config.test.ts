// RBAC filters in the messages of a listener: where they may stand, what of them is refused, and that the chain is the same
// one with other policies.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, createRegistry, fromJson, toBinary, type JsonObject } from '@bufbuild/protobuf';
import { connectionOf } from '../../../test/harness/authorization.js';
import { UnsupportedConfig } from '../http/matchers.js';
import {
  FilterChainSchema,
  HttpConnectionManagerSchema,
  HttpRbacSchema,
  ListenerSchema,
  NetworkRbacSchema,
  RouterSchema,
  TcpProxySchema,
} from '../../xds/messages.js';
import { readListener, type ListenerFactory } from './listener-config.js';
import { readHttpPolicies, readNetworkPolicies, withoutPolicies } from './policy-config.js';

const registry = createRegistry(
  HttpConnectionManagerSchema,
  HttpRbacSchema,
  NetworkRbacSchema,
  RouterSchema,
  TcpProxySchema,
);
const extensions = 'type.googleapis.com/envoy.extensions.filters';
const everybody = { p: { permissions: [{ any: true }], principals: [{ any: true }] } };
const filter = (type: string, config: JsonObject = {}): JsonObject => ({
  name: type,
  typedConfig: { '@type': `${extensions}.${type}`, ...config },
});
const httpRbac = (config: JsonObject = {}) =>
  filter('http.rbac.v3.RBAC', { rules: { policies: everybody }, ...config });
const networkRbac = (config: JsonObject = {}) =>
  filter('network.rbac.v3.RBAC', { rules: { policies: everybody }, statPrefix: 'a', ...config });
const tcp = filter('network.tcp_proxy.v3.TcpProxy', { cluster: 'c' });
const http = (...filters: JsonObject[]) =>
  filter('network.http_connection_manager.v3.HttpConnectionManager', {
    routeConfig: {},
    httpFilters: [...filters, filter('http.router.v3.Router')],
  });
const chain = (...filters: JsonObject[]) => fromJson(FilterChainSchema, { filters }, { registry });
const listener = (...filters: JsonObject[]) =>
  readListener(
    fromJson(
      ListenerSchema,
      { name: 'a', internalListener: {}, trafficDirection: 'INBOUND', filterChains: [{ filters }] },
      { registry },
    ),
    { openAccessLog: () => () => undefined } as unknown as ListenerFactory,
  );
const key = (...filters: JsonObject[]) => listener(...filters).chains[0]!.key;

describe('policies', () => {
  it('stand before the last filter, or among the HTTP filters', () => {
    assert.equal(listener(networkRbac(), networkRbac(), tcp).chains.length, 1);
    assert.equal(listener(networkRbac(), http(httpRbac(), httpRbac())).chains.length, 1);
  });

  it('do not make another chain', () => {
    assert.equal(key(networkRbac(), tcp), key(tcp));
    assert.equal(key(networkRbac({ rules: { action: 'DENY' } }), tcp), key(tcp));
    assert.equal(key(http(httpRbac())), key(http()));
    assert.equal(key(networkRbac(), http(httpRbac({ rules: {} }))), key(http()));
    assert.notEqual(key(http()), key(tcp));
    const other = filter('network.tcp_proxy.v3.TcpProxy', { cluster: 'd' });
    assert.notEqual(key(networkRbac(), other), key(networkRbac(), tcp));
  });

  it('are gone from a chain without them, and the chain itself is left as it is', () => {
    const before = chain(networkRbac(), http(httpRbac()));
    const bytes = toBinary(FilterChainSchema, before);
    assert.deepEqual(withoutPolicies(before), chain(http()));
    assert.deepEqual(toBinary(FilterChainSchema, before), bytes);
    assert.deepEqual(withoutPolicies(create(FilterChainSchema, {})), create(FilterChainSchema, {}));
  });

  it('without rules are none, with empty ones deny', () => {
    const connection = connectionOf({}, 80);
    const read = (config: JsonObject) =>
      readNetworkPolicies(chain(filter('network.rbac.v3.RBAC', { statPrefix: 'a', ...config })).filters);
    assert.equal(read({}), undefined);
    assert.equal(read({ rules: {} })!.findDenial(connection, undefined)?.policy, 'none');
  });
});

describe('what is not understood is refused', () => {
  const rbac = (config: JsonObject) => () => readNetworkPolicies(chain(networkRbac(config)).filters);
  for (const config of [
    { matcher: {} },
    { shadowRules: {} },
    { shadowMatcher: {} },
    { enforcementType: 'CONTINUOUS' },
  ] as JsonObject[])
    it(Object.keys(config).join(), () => assert.throws(rbac(config), UnsupportedConfig));
  it('counts of single rules', () =>
    assert.throws(() => listener(http(httpRbac({ trackPerRuleStats: true }))), UnsupportedConfig));
  it('shadow rules of HTTP', () =>
    assert.throws(() => listener(http(httpRbac({ shadowRules: {} }))), UnsupportedConfig));
  it('other filters before the last', () =>
    assert.throws(() => listener(tcp, tcp), /is not supported before another one/));
  it('policies with nothing behind them', () => {
    assert.throws(() => listener(networkRbac()), UnsupportedConfig);
    assert.throws(() => listener(), /has no filter/);
  });
  it('other HTTP filters, by whoever reads those', () => assert.equal(readHttpPolicies([]), undefined));
  it('ways with escaped slashes that answer instead of forwarding', () => {
    for (const action of ['REJECT_REQUEST', 'UNESCAPE_AND_REDIRECT']) {
      const manager = http();
      Object.assign(manager['typedConfig'] as JsonObject, { pathWithEscapedSlashesAction: action });
      assert.throws(() => listener(manager), new RegExp(action));
    }
  });
});
