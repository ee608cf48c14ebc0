// HTTP by its first bytes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { detectHttp } from './detect-http.js';

const detect = (text: string) => detectHttp(Buffer.from(text, 'latin1'));

describe('the first bytes of a connection', () => {
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'PROPPATCH'])
    it(`are HTTP once ${method} and a space have come, and open at every split before`, () => {
      const request = `${method} / HTTP/1.1\r\nHost: a\r\n\r\n`;
      for (let length = 0; length <= request.length; length++)
        assert.equal(
          detect(request.slice(0, length)),
          length <= method.length ? 'incomplete' : 'http',
          request.slice(0, length),
        );
    });

  it('are HTTP/2 once its whole preface has come, and open at every split before', () => {
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04';
    for (let length = 0; length <= preface.length; length++)
      assert.equal(detect(preface.slice(0, length)), length < 24 ? 'incomplete' : 'http2', String(length));
  });

  for (const text of [
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r ',
    'PRI / HTTP/1.1',
    'get / HTTP/1.1',
    ' GET /',
    '\r\nGET /',
    'GETX',
    'GET\t/',
    'GET\0',
    'FOO / HTTP/1.1',
    '\0',
    'SSH-2.0-x',
    '*1\r\n$4\r\nPING',
    '\u0016\u0003\u0001',
  ])
    it(`are something else as ${JSON.stringify(text)}`, () => assert.equal(detect(text), 'other'));

  it('never change from one to the other as more come', () => {
    const unit = fc.constantFrom(
      'GET',
      'PUT',
      'P',
      'O',
      'ST',
      ' ',
      '/',
      'x',
      '\0',
      'PRI * HTTP/2.0\r\n\r\n',
      'SM\r\n\r\n',
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 12 }), fc.string({ unit, maxLength: 12 }), (start, rest) => {
        const state = detect(start);
        if (state !== 'incomplete') assert.equal(detect(start + rest), state);
      }),
      { numRuns: 500 },
    );
  });
});
