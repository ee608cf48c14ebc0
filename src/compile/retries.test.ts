// Retries are sent with Istio's exact defaults, and each field of a policy overrides one of them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, createRegistry, toJson } from '@bufbuild/protobuf';
import type { RetryPolicySpec } from '../api/retry-policy.js';
import { PreviousHostsPredicateSchema, PreviousPrioritiesConfigSchema, RetryPolicySchema } from '../xds/messages.js';
import { compileRetries, inboundRetries } from './retries.js';

const registry = createRegistry(PreviousHostsPredicateSchema, PreviousPrioritiesConfigSchema);
const sent = (spec?: RetryPolicySpec) => {
  const policy = compileRetries(spec);
  return policy === undefined ? undefined : toJson(RetryPolicySchema, policy, { registry });
};
const previousHosts = {
  name: 'envoy.retry_host_predicates.previous_hosts',
  typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate' },
};
const defaults = {
  retryOn: 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes',
  numRetries: 2,
  retryHostPredicate: [previousHosts],
  hostSelectionRetryMaxAttempts: '5',
};

describe('retries', () => {
  it("are Istio's where nothing is said", () => assert.deepEqual(sent(), defaults));

  it('are off with 0 attempts, and with a policy that names none', () => {
    for (const spec of [{}, { attempts: 0 }, { attempts: 0, backoff: '1s' }]) assert.equal(sent(spec), undefined);
  });

  for (const [what, spec, changed] of [
    ['attempts', { attempts: 5 }, { numRetries: 5 }],
    ['a time for each try', { attempts: 2, perTryTimeout: '1500ms' }, { perTryTimeout: '1.500s' }],
    ['a pause', { attempts: 2, backoff: '10ms' }, { retryBackOff: { baseInterval: '0.010s' } }],
    [
      'endpoints in whatever order',
      { attempts: 2, retryIgnorePreviousHosts: false },
      { retryHostPredicate: undefined },
    ],
    ['new endpoints, said aloud', { attempts: 2, retryIgnorePreviousHosts: true }, {}],
    [
      'other localities',
      { attempts: 2, retryRemoteLocalities: true },
      {
        retryPriority: {
          name: 'envoy.retry_priorities.previous_priorities',
          typedConfig: {
            '@type':
              'type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig',
            updateFrequency: 2,
          },
        },
      },
    ],
    ['conditions', { attempts: 2, retryOn: 'gateway-error, reset' }, { retryOn: 'gateway-error,reset' }],
    ['no conditions', { attempts: 2, retryOn: '' }, {}],
    [
      'statuses among conditions',
      { attempts: 2, retryOn: '503,5xx,404' },
      { retryOn: '5xx,retriable-status-codes', retriableStatusCodes: [503, 404] },
    ],
    [
      'statuses alone',
      { attempts: 2, retryOn: '503' },
      { retryOn: 'retriable-status-codes', retriableStatusCodes: [503] },
    ],
    [
      'statuses with their condition',
      { attempts: 2, retryOn: 'retriable-status-codes,503' },
      { retryOn: 'retriable-status-codes', retriableStatusCodes: [503] },
    ],
  ] as [string, RetryPolicySpec, Record<string, unknown>][])
    it(`with ${what} change that and nothing else`, () => {
      const wanted = Object.entries({ ...defaults, ...changed }).filter(([, value]) => value !== undefined);
      assert.deepEqual(sent(spec), Object.fromEntries(wanted));
    });

  it('of the inbound side are of requests that the application cannot have seen', () => {
    assert.deepEqual(toJson(RetryPolicySchema, create(RetryPolicySchema, inboundRetries())), {
      retryOn: 'reset-before-request',
      numRetries: 2,
    });
  });
});
