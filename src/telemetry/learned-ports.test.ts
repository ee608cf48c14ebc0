// What proxies say of their ports is taken with bounds.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeLearnedPorts, encodeLearnedPort, mostLearnedPorts } from './learned-ports.js';

const port = encodeLearnedPort({ listener: 'a', protocol: 'http', sinceMs: 1.5 });

describe('learned ports of a proxy', () => {
  it('are taken as they were said', () => {
    assert.deepEqual(decodeLearnedPorts([port]), [{ listener: 'a', protocol: 'http', sinceMs: 1 }]);
  });

  it('are left out where they mean nothing, or are too long or too many', () => {
    assert.deepEqual(decodeLearnedPorts([{ ...port, protocol: 99 as never }]), []);
    assert.deepEqual(decodeLearnedPorts([{ ...port, listener: 'a'.repeat(513) }]), []);
    assert.equal(decodeLearnedPorts(Array.from({ length: 2000 }, () => port)).length, mostLearnedPorts);
  });
});
