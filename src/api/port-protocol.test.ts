// What a port is read as, by what is said of it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { protocolOf } from './port-protocol.js';

describe('the protocol of a port', () => {
  it('is that of its field before that of its name before that of its number', () => {
    assert.equal(protocolOf({ port: 3306, name: 'http-a', protocol: 'grpc' }), 'grpc');
    assert.equal(protocolOf({ port: 3306, name: 'http-a' }), 'http');
    assert.equal(protocolOf({ port: 3306, name: 'a' }), 'tcp');
    assert.equal(protocolOf({ port: 3307, name: 'a' }), 'detect');
  });

  it('may be said to be for the first bytes to tell', () => {
    assert.equal(protocolOf({ port: 25, name: 'http', protocol: 'detect' }), 'detect');
  });

  it('is not told by words that are none, such as names of members of every object', () => {
    for (const word of ['constructor', 'toString', 'http3', 'httpx', 'x-http', ''])
      assert.equal(protocolOf({ port: 80, name: word }), 'detect', word);
  });

  it('may be UDP, which is none', () => {
    assert.equal(protocolOf({ port: 80, name: 'udp-http' }), 'udp');
    assert.equal(protocolOf({ port: 80, name: 'http', protocol: 'UDP' }), 'udp');
  });
});
