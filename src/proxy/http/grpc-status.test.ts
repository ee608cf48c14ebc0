// gRPC's statuses beside those of HTTP, and the text that goes with them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { lastGrpcCode } from '../../util/grpc-codes.js';
import { encodeGrpcMessage, findGrpcStatus, grpcStatusOf, httpStatusOf, isGrpc, tellGrpc } from './grpc-status.js';

describe('a request', () => {
  for (const [type, expected] of [
    ['application/grpc', true],
    ['application/grpc+proto', true],
    ['application/grpc;charset=utf-8', true],
    ['application/grpc-web', false],
    ['application/grpc-web+proto', false],
    ['application/grpc-web-text', false],
    ['application/grpcx', false],
    ['application/json', false],
    ['', false],
  ] as const)
    it(`of type ${JSON.stringify(type)} is ${expected ? '' : 'not '}gRPC's`, () =>
      assert.equal(isGrpc(['a', 'application/grpc', 'content-type', type]), expected));
  it('without a type is not', () => assert.equal(isGrpc(['te', 'trailers']), false));
});

describe('a status', () => {
  it('of HTTP has one of gRPC, as the table of gRPC says', () =>
    assert.deepEqual(
      [200, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504].map(grpcStatusOf),
      [2, 13, 16, 7, 12, 2, 14, 2, 14, 14, 14],
    ));
  it('of gRPC has one of HTTP, and one without a meaning is an error of the server', () => {
    const all = Array.from({ length: lastGrpcCode + 1 }, (_, status) => httpStatusOf(status));
    assert.deepEqual(all, [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401]);
    assert.deepEqual([-1, 17, 1e9].map(httpStatusOf), [500, 500, 500]);
  });
  it('is read as a number, and anything else as none that there is', () => {
    const read = (value: string) => findGrpcStatus(['grpc-status', value]);
    assert.deepEqual(['0', '14', '99', '', '-1', 'OK', '0x1', '1,2', '9'.repeat(40)].map(read), [
      0,
      14,
      99,
      undefined,
      -1,
      -1,
      -1,
      -1,
      -1,
    ]);
    assert.equal(findGrpcStatus(['grpc-message', '1']), undefined);
  });
  it('takes the place of what a route puts into the answer', () => {
    const headers = ['content-type', 'text/html', 'location', 'x'];
    tellGrpc(headers, 12, '');
    assert.deepEqual(headers, ['content-type', 'application/grpc', 'location', 'x', 'grpc-status', '12']);
  });
});

describe('the text of a status', () => {
  it('is ASCII that can be printed, and reads as it was', () => {
    const piece = fc.oneof(
      fc.constantFrom('%', '\n', ' ', '4', 'é', '😀'),
      fc.nat(0xd7ff).map((code) => String.fromCodePoint(code)),
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const text = pieces.join('');
        const encoded = encodeGrpcMessage(text);
        assert.match(encoded, /^[ -~]*$/);
        assert.equal(decodeURIComponent(encoded), text.replace(/[ \n]+$/, ''));
      }),
    );
  });
  it('leaves spaces and quotes as they are, and has no line feed at its end', () =>
    assert.equal(encodeGrpcMessage('100% "no"\nlateen: é\n'), '100%25 "no"%0Alateen: %C3%A9'));
  it('is cut between characters where it would be too long for a header', () =>
    assert.equal(encodeGrpcMessage(`a${'é'.repeat(2000)}`), `a${'%C3%A9'.repeat(1023)}`));
  it('may be any bytes', () => assert.equal(encodeGrpcMessage(Buffer.from([0, 0x41, 0xff])), '%00A%FF'));
});
