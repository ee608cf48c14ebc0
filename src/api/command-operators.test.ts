// Formats that users write: what is taken, and what is said of the rest.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { whyNotAFormat } from './command-operators.js';

describe('a format', () => {
  for (const format of [
    '%GRPC_STATUS%',
    '%GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%',
    '%REQ(A?:PATH)% 100%%',
    '',
  ])
    it(`${JSON.stringify(format)} is taken`, () => assert.equal(whyNotAFormat(format), undefined));
  for (const [format, why] of [
    ['%NO_SUCH%', /which is not supported yet; these are: START_TIME, /],
    ['%REQ()%', /without a header name/],
    ['%PROTOCOL(x)%', /gives %PROTOCOL% an argument, which it does not take/],
    ['%GRPC_STATUS_NUMBER(NUMBER)%', /an argument, which it does not take/],
    ['%GRPC_STATUS(camel)%', /other than CAMEL_STRING, SNAKE_STRING, NUMBER/],
    ['50%', /begins no operator/],
  ] as const)
    it(`${format} is not, and why`, () => assert.match(whyNotAFormat(format)!, why));
});
