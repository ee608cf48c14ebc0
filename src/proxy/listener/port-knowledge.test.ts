// What is learned of a port, and how long it makes silent clients wait.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LearnedProtocol } from '../../telemetry/learned-ports.js';
import { PortKnowledge } from './port-knowledge.js';

function after(...notes: LearnedProtocol[]): PortKnowledge {
  const knowledge = new PortKnowledge();
  for (const [i, note] of notes.entries()) knowledge.note(note, i + 1);
  return knowledge;
}

describe('what is known of a port', () => {
  it('is nothing at first, and then what its last connection carried, since the first of those', () => {
    assert.equal(after().learned, undefined);
    const knowledge = after('http', 'http2', 'http2');
    assert.deepEqual([knowledge.learned, knowledge.sinceMs], ['http2', 2]);
    assert.equal(after('client-first', 'server-first').learned, 'server-first');
    assert.equal(after('server-first', 'http').learned, 'http');
  });

  it('is not changed by a client that is quicker than its server', () => {
    assert.equal(after('server-first', 'client-first').learned, 'server-first');
  });

  it('lets no server wait that speaks first, and clients of HTTP idle for longer', () => {
    assert.equal(after().waitMs(100), 100);
    assert.equal(after('server-first').waitMs(100), 0);
    assert.equal(after('client-first').waitMs(100), 100);
    assert.equal(after('http').waitMs(100), 1000);
    assert.equal(after('http2').waitMs(5000), 5000);
  });

  it('lets no server wait for long again that has ever spoken first', () => {
    assert.equal(after('server-first', 'http').waitMs(100), 100);
  });
});
