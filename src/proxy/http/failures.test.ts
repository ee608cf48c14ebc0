// Holds answers of ours to Envoy's words, which dashboards and people look for, and to one sentence that helps.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { answerFor, explainFailure, type Failure, type FailureContext } from './failures.js';

const failures: readonly (readonly [Failure, number, string, string, RegExp])[] = [
  [{ kind: 'no-route', hostKnown: true }, 404, 'NR', 'route_not_found', /^no rule for the host shop matches GET \/a;/],
  [{ kind: 'no-route', hostKnown: false }, 404, 'NR', 'route_not_found', /^no service or VirtualService .* shop;/],
  [
    { kind: 'no-cluster', cluster: 'c', status: 500 },
    500,
    'NC',
    'cluster_not_found',
    /sent to subset v2 of svc, which does not exist \(decided by V\/a\/b x\)/,
  ],
  [{ kind: 'no-endpoint' }, 503, 'UH', 'no_healthy_upstream', /^no instance of subset v2 of svc is ready \(decided by/],
  [
    { kind: 'connect', reason: 'connection refused' },
    503,
    'UF',
    'upstream_reset_before_response_started{remote_connection_failure}',
    /at 10\.0\.0\.1:80 could not be reached: connection refused$/,
  ],
  [
    { kind: 'connect-timeout' },
    503,
    'UF',
    'upstream_reset_before_response_started{connection_timeout}',
    /no connection in time$/,
  ],
  [
    { kind: 'reset' },
    503,
    'UR',
    'upstream_reset_before_response_started{remote_reset}',
    /gave up the request without an answer$/,
  ],
  [
    { kind: 'lost', reset: true },
    503,
    'UC',
    'upstream_reset_before_response_started{connection_termination}',
    /closed the connection before it answered$/,
  ],
  [
    { kind: 'lost', reset: false },
    503,
    'UC',
    'upstream_reset_before_response_started{connection_termination}',
    /closed the connection before it answered$/,
  ],
  [
    { kind: 'protocol', reason: 'x' },
    502,
    'UPE',
    'upstream_reset_before_response_started{protocol_error}',
    /broke the rules of HTTP: x$/,
  ],
  [{ kind: 'timeout', afterMs: 5 }, 504, 'UT', 'response_timeout', /did not answer within 5 ms/],
  [
    { kind: 'timeout', afterMs: 5, isCallers: true },
    504,
    'UT',
    'response_timeout',
    /did not answer within 5 ms \(the deadline of the caller, grpc-timeout\)$/,
  ],
  [
    { kind: 'expired', afterMs: 5, isCallers: false, requestEnded: true },
    504,
    'DT',
    'max_duration_timeout',
    /was not over within 5 ms \(decided by V/,
  ],
  [
    { kind: 'expired', afterMs: 5, isCallers: true, requestEnded: false },
    408,
    'DT',
    'max_duration_timeout',
    /was not over within 5 ms \(the deadline of the caller, grpc-timeout\)$/,
  ],
  [{ kind: 'stream-idle' }, 504, 'SI', 'stream_idle_timeout', /^nothing was sent/],
  [{ kind: 'internal', error: new Error('x') }, 500, '-', 'internal_error', /^the proxy has an error of its own/],
  [{ kind: 'not-allowed', method: 'CONNECT' }, 403, 'NR', 'upgrade_failed', /^CONNECT is not taken here/],
];

const context: FailureContext = {
  method: 'GET',
  path: '/a',
  authority: 'shop',
  service: 'svc',
  subset: 'v2',
  endpoint: '10.0.0.1:80',
  decidedBy: 'V/a/b x',
};

for (const [failure, status, flags, details, sentence] of failures)
  it(`${JSON.stringify(failure)} is ${status} ${flags}, and why`, () => {
    const answer = answerFor(failure);
    assert.deepEqual([answer.status, answer.flags, answer.details], [status, flags, details]);
    const text = explainFailure(failure, context);
    assert.match(text, sentence);
    assert.doesNotMatch(text, /[\r\n]|undefined/);
    const nothing = { service: undefined, subset: undefined, endpoint: undefined, decidedBy: undefined };
    assert.doesNotMatch(explainFailure(failure, { ...context, ...nothing }), /undefined|null/);
  });

it('a handshake that failed is told as such, other failures as delayed', () => {
  const body = (reason: string) => answerFor({ kind: 'connect', reason }).body;
  assert.match(body('TLS error: x'), /transport failure reason: TLS error: x$/);
  assert.match(body('connection refused'), /transport failure reason: delayed connect error: connection refused$/);
});
