// Which chain takes a connection.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findChain, type FilterChain, type FilterChainMatch, type Inspection } from './filter-chain.js';

const chain = (key: string, match: Partial<FilterChainMatch>): FilterChain => ({
  key,
  match: { transportProtocol: '', applicationProtocols: [], serverNames: [], ...match },
  tls: undefined,
  filter: { handle: () => assert.fail('not under test'), takePolicies: () => false },
});
const tls = (serverName: string | undefined, ...applicationProtocols: readonly string[]): Inspection => ({
  transportProtocol: 'tls',
  serverName,
  applicationProtocols,
});
const plain: Inspection = { transportProtocol: 'raw_buffer', serverName: undefined, applicationProtocols: [] };
const found = (chains: readonly FilterChain[], inspection: Inspection) => findChain(chains, inspection)?.key;

describe('the chain for a connection', () => {
  it('is none where none matches', () => {
    assert.equal(found([], plain), undefined);
    assert.equal(found([chain('tls', { transportProtocol: 'tls' })], plain), undefined);
    assert.equal(found([chain('named', { serverNames: ['a'] })], tls(undefined)), undefined);
    assert.equal(found([chain('h2', { applicationProtocols: ['h2'] })], tls('a', 'http/1.1')), undefined);
    assert.equal(found([chain('h2', { applicationProtocols: ['h2'] })], tls('a')), undefined);
  });

  it('is the first of those that say the same', () => {
    assert.equal(found([chain('first', {}), chain('second', {})], plain), 'first');
  });

  it('is the one for its transport before the one for any', () => {
    const chains = [
      chain('any', {}),
      chain('tls', { transportProtocol: 'tls' }),
      chain('raw', { transportProtocol: 'raw_buffer' }),
    ];
    assert.equal(found(chains, tls('a')), 'tls');
    assert.equal(found(chains, plain), 'raw');
  });

  it('is the one for a protocol that the client offers before the one for any', () => {
    const chains = [
      chain('any', { transportProtocol: 'tls' }),
      chain('lateen', { transportProtocol: 'tls', applicationProtocols: ['lateen-h1', 'lateen-tcp'] }),
    ];
    assert.equal(found(chains, tls('a', 'x', 'lateen-tcp')), 'lateen');
    assert.equal(found(chains, tls('a', 'x')), 'any');
  });

  it('is the one for the protocol that the client offers first, in whatever order the chains stand', () => {
    const chains = [
      chain('http', { transportProtocol: 'tls', applicationProtocols: ['istio-http/1.1', 'istio-h2'] }),
      chain('bytes', { transportProtocol: 'tls', applicationProtocols: ['lateen-tcp', 'istio'] }),
      chain('any', { transportProtocol: 'tls' }),
    ];
    for (const ordered of [chains, chains.toReversed()]) {
      assert.equal(found(ordered, tls('a', 'istio', 'istio-h2')), 'bytes');
      assert.equal(found(ordered, tls('a', 'x', 'istio-h2', 'istio', 'h2')), 'http');
      assert.equal(found(ordered, tls('a', 'h2')), 'any');
    }
  });

  it('is the one for its transport before the one for its protocol', () => {
    const chains = [
      chain('protocol', { applicationProtocols: ['h2'] }),
      chain('transport', { transportProtocol: 'tls' }),
    ];
    assert.equal(found(chains, tls('a', 'h2')), 'transport');
  });

  it('is the one for the name, then for the longest suffix, then for any name, whatever else they say', () => {
    const chains = [
      chain('any', { transportProtocol: 'tls', applicationProtocols: ['h2'] }),
      chain('short', { serverNames: ['*.com'] }),
      chain('long', { serverNames: ['*.example.com', '*.org'] }),
      chain('exact', { serverNames: ['other', 'www.example.com'] }),
    ];
    assert.equal(found(chains, tls('www.example.com', 'h2')), 'exact');
    assert.equal(found(chains, tls('a.b.example.com', 'h2')), 'long');
    assert.equal(found(chains, tls('example.com', 'h2')), 'short');
    assert.equal(found(chains, tls('a.net', 'h2')), 'any');
    assert.equal(found(chains, tls('xexample.org')), 'long');
    assert.equal(found(chains, tls('com')), undefined);
  });
});
