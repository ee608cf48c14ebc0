// Retries and copies of routes are read with Envoy's defaults, and what is not understood is refused.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { RetryPolicySchema, RouteAction_RequestMirrorPolicySchema } from '../../xds/messages.js';
import { UnsupportedConfig } from '../http/matchers.js';
import { readMirrors, readRetries } from './route-config.js';

const retries = (policy: JsonObject) => readRetries(fromJson(RetryPolicySchema, policy));
const mirrors = (...policies: JsonObject[]) =>
  readMirrors(policies.map((policy) => fromJson(RouteAction_RequestMirrorPolicySchema, policy)));

describe('retries', () => {
  it("have Envoy's defaults", () => {
    assert.deepEqual(retries({ retryOn: '5xx' }), {
      attempts: 1,
      perTryTimeoutMs: 0,
      retryOn: new Set(['5xx']),
      retriableStatusCodes: [],
      retriableHeaders: [],
      hostSelectionAttempts: 1,
      avoidPreviousHosts: false,
      backoffBaseMs: 25,
      backoffMaxMs: 250,
    });
  });

  it('are read in full', () => {
    const read = retries({
      retryOn: 'reset, 5xx,',
      numRetries: 4,
      perTryTimeout: '1.5s',
      retriableStatusCodes: [503, 404],
      retriableHeaders: [{ name: 'X-Again', presentMatch: true }],
      hostSelectionRetryMaxAttempts: '7',
      retryBackOff: { baseInterval: '0.1s', maxInterval: '2s' },
    })!;
    assert.deepEqual([...read.retryOn], ['reset', '5xx']);
    assert.deepEqual(
      [read.attempts, read.perTryTimeoutMs, read.hostSelectionAttempts, read.backoffBaseMs, read.backoffMaxMs],
      [4, 1500, 7, 100, 2000],
    );
    assert.deepEqual(read.retriableStatusCodes, [503, 404]);
    assert.equal(read.retriableHeaders[0]!(['x-again', '1']), true);
    assert.equal(read.retriableHeaders[0]!(['x-other', '1']), false);
  });

  it('without conditions or tries are none', () => {
    for (const policy of [{}, { retryOn: '' }, { retryOn: ' , ' }, { retryOn: '5xx', numRetries: 0 }])
      assert.equal(retries(policy), undefined);
    assert.equal(readRetries(undefined), undefined);
  });

  it('are refused where they ask for what is not here', () => {
    for (const policy of [
      { perTryIdleTimeout: '1s' },
      { retryOptionsPredicates: [{ name: 'x' }] },
      { rateLimitedRetryBackOff: { resetHeaders: [{ name: 'x' }] } },
      { retriableRequestHeaders: [{ name: 'x', presentMatch: true }] },
      { retryHostPredicate: [{ name: 'envoy.retry_host_predicates.omit_canary_hosts' }] },
      { retryPriority: { name: 'x' } },
    ])
      assert.throws(() => retries({ retryOn: '5xx', ...policy }), UnsupportedConfig, JSON.stringify(policy));
  });
});

describe('copies', () => {
  it('have a share in any denominator, all without one', () => {
    const share = (numerator: number, denominator: string) => ({
      cluster: 'c',
      runtimeFraction: { defaultValue: { numerator, denominator } },
    });
    assert.deepEqual(
      mirrors(
        { cluster: 'c' },
        share(50, 'HUNDRED'),
        share(1, 'TEN_THOUSAND'),
        share(2_500, 'MILLION'),
        share(101, 'HUNDRED'),
      ).map(({ fraction }) => fraction),
      [1, 0.5, 0.0001, 0.0025, 1],
    );
    assert.deepEqual(mirrors(share(0, 'HUNDRED'), { cluster: 'c', runtimeFraction: {} }), []);
  });

  it("append Envoy's suffix to the host unless they are told not to", () => {
    assert.equal(mirrors({ cluster: 'c' })[0]!.hostSuffix, '-shadow');
    assert.equal(mirrors({ cluster: 'c', disableShadowHostSuffixAppend: true })[0]!.hostSuffix, '');
  });

  it('to a cluster that a header names are refused', () => {
    assert.throws(() => mirrors({ clusterHeader: 'x' }), UnsupportedConfig);
  });
});
