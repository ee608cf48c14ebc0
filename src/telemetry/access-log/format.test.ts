// Log lines as Istio and Envoy print them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FormatError } from '../../util/command-format.js';
import { compileJsonFormat, compileTextFormat, operatorNames } from './format.js';
import type { AccessRecord } from './record.js';

const requestHeaders: Record<string, string> = {
  ':method': 'GET',
  ':path': '/a?b=c',
  ':authority': 'reviews:9080',
  'user-agent': 'curl/8',
  'x-request-id': 'id-1',
};
const record: AccessRecord = {
  startTimeMs: Date.UTC(2025, 0, 2, 3, 4, 5, 6) + 0.7,
  durationMs: 12.4,
  protocol: 'HTTP/1.1',
  responseCode: 200,
  grpcStatus: undefined,
  responseFlags: '-',
  responseCodeDetails: 'via_upstream',
  connectionTerminationDetails: undefined,
  upstreamTransportFailureReason: undefined,
  bytesReceived: 0,
  bytesSent: 34,
  upstreamHost: '10.0.0.2:9080',
  upstreamCluster: 'outbound|9080||reviews.shop.svc.cluster.local',
  upstreamLocalAddress: '10.0.0.1:5000',
  downstreamLocalAddress: '10.1.0.9:9080',
  downstreamRemoteAddress: '10.0.0.1:4000',
  requestedServerName: undefined,
  routeName: 'default',
  requestHeader: (name) => requestHeaders[name],
  responseHeader: (name) => (name === 'x-envoy-upstream-service-time' ? '11' : undefined),
};
const text = (format: string, fields: Partial<AccessRecord> = {}) =>
  compileTextFormat(format)({ ...record, ...fields });
const json = (format: Record<string, string>, fields: Partial<AccessRecord> = {}) =>
  JSON.parse(compileJsonFormat(format)({ ...record, ...fields })) as Record<string, unknown>;
const agent = (value: string): Partial<AccessRecord> => ({ requestHeader: () => value });

describe('a line of text', () => {
  it('is Istio\u2019s default where that is the format', () => {
    const istio =
      '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
      '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% ' +
      '%DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" ' +
      '"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% ' +
      '%DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n';
    assert.equal(
      text(istio),
      '[2025-01-02T03:04:05.006Z] "GET /a?b=c HTTP/1.1" 200 - via_upstream - "-" 0 34 12 11 "-" "curl/8" "id-1" ' +
        '"reviews:9080" "10.0.0.2:9080" outbound|9080||reviews.shop.svc.cluster.local 10.0.0.1:5000 10.1.0.9:9080 ' +
        '10.0.0.1:4000 - default\n',
    );
  });

  it('takes the second header where the first is missing', () => {
    assert.equal(text('%REQ(X-MISSING?:PATH)% %REQ(:PATH?X-MISSING)% %REQ(X-A?X-B)%'), '/a?b=c /a?b=c -');
  });

  it('cuts values to their length', () => {
    assert.equal(text('%REQ(USER-AGENT):4% %REQ(USER-AGENT):0% %RESPONSE_CODE:1% %REQ(X-A):2%'), 'curl - 2 -');
  });

  it('gives the address of the client without its port', () => {
    assert.equal(text('%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'), '10.0.0.1');
  });

  it('gives the status of gRPC as a name, in either spelling, or as its number', () => {
    const format =
      '%GRPC_STATUS% %GRPC_STATUS(CAMEL_STRING)% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%';
    for (const [grpcStatus, line] of [
      [0, 'OK OK OK 0 0'],
      [1, 'Canceled Canceled CANCELLED 1 1'],
      [4, 'DeadlineExceeded DeadlineExceeded DEADLINE_EXCEEDED 4 4'],
      [16, 'Unauthenticated Unauthenticated UNAUTHENTICATED 16 16'],
      [99, '99 99 99 99 99'],
      [-1, '-1 -1 -1 -1 -1'],
      [undefined, '- - - - -'],
    ] as const)
      assert.equal(text(format, { grpcStatus }), line);
  });

  it('prints times of different milliseconds, and the same again', () => {
    const format = compileTextFormat('%START_TIME%');
    const at = (startTimeMs: number) => format({ ...record, startTimeMs });
    assert.deepEqual(
      [at(0), at(0.9), at(1), at(0)],
      ['1970-01-01T00:00:00.000Z', '1970-01-01T00:00:00.000Z', '1970-01-01T00:00:00.001Z', '1970-01-01T00:00:00.000Z'],
    );
  });

  it('shows quotes, backslashes and control characters of values escaped', () => {
    assert.equal(
      text('"%REQ(USER-AGENT)%"', agent('a"b\\c\n\r\t\u0000\u007fd')),
      '"a\\"b\\\\c\\x0a\\x0d\\x09\\x00\\x7fd"',
    );
  });

  it('stays one line, with values inside their quotes, whatever a client sends', () => {
    const unit = fc.oneof(fc.constantFrom('"', '\\', '\n', '\r', ' ', 'x0a'), fc.string({ maxLength: 3 }));
    fc.assert(
      fc.property(fc.string({ unit }), (value) => {
        const line = text('"%REQ(USER-AGENT)%" end', agent(value));
        const match = /^"((?:[^"\\\n\r]|\\["\\]|\\x[0-9a-f]{2})*)" end$/.exec(line);
        assert.ok(match, line);
        const read = match[1]!.replace(/\\(?:x(..)|(.))/g, (_, hex: string | undefined, c: string) =>
          hex === undefined ? c : String.fromCharCode(Number.parseInt(hex, 16)),
        );
        assert.equal(read, value === '' ? '-' : value);
      }),
    );
  });
});

describe('a line of JSON', () => {
  it('keeps numbers as numbers and writes absent values as null', () => {
    assert.deepEqual(
      json({
        code: '%RESPONSE_CODE%',
        sent: '%BYTES_SENT%',
        took: '%DURATION%',
        details: '%CONNECTION_TERMINATION_DETAILS%',
        forwarded: '%REQ(X-FORWARDED-FOR)%',
        path: '%REQ(:PATH)%',
        time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
      }),
      { code: 200, sent: 34, took: 12, details: null, forwarded: null, path: '/a?b=c', time: '11' },
    );
  });

  it('writes no flags as a dash, as Istio does, and a header that is a dash as it is', () => {
    assert.deepEqual(json({ flags: '%RESPONSE_FLAGS%', agent: '%REQ(USER-AGENT)%' }, agent('-')), {
      flags: '-',
      agent: '-',
    });
    assert.deepEqual(json({ flags: '%RESPONSE_FLAGS%' }, { responseFlags: 'UH,NR' }), { flags: 'UH,NR' });
  });

  it('joins several operators to one text', () => {
    assert.deepEqual(json({ line: '%REQ(:METHOD)% %REQ(X-A)% %RESPONSE_CODE%!', plain: 'text', none: '' }), {
      line: 'GET - 200!',
      plain: 'text',
      none: '',
    });
  });

  it('is one line that reads as it was, whatever a client sends', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        const line = compileJsonFormat({ agent: '%REQ(USER-AGENT)%' })({ ...record, ...agent(value) });
        assert.equal(line.indexOf('\n'), line.length - 1);
        assert.deepEqual(JSON.parse(line), { agent: value });
      }),
    );
  });

  it('with a field that is no text is refused', () => {
    assert.throws(() => compileJsonFormat({ a: 5 }), { name: 'FormatError', message: /field a/ });
  });
});

describe('an operator', () => {
  it('that is said to exist can be compiled', () => {
    for (const name of operatorNames)
      compileTextFormat(name === 'REQ' || name === 'RESP' ? `%${name}(X-A)%` : `%${name}%`);
  });

  for (const format of [
    '%NO_SUCH%',
    '%REQ%',
    '%REQ()%',
    '%RESP(?X)%',
    '%PROTOCOL(x)%',
    '%START_TIME(%s)%',
    '%TO_STRING%',
    '%GRPC_STATUS(X)%',
    '%GRPC_STATUS_NUMBER(X)%',
  ])
    it(`${format} is refused`, () => assert.throws(() => compileTextFormat(format), FormatError));
});
