// Messages of gRPC come out as they went in, wherever the body was cut.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { frameMessage, MessageReader } from './message-reader.js';

describe('the reader of messages', () => {
  it('gives out what was framed, wherever the body is cut', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 });
    fc.assert(
      fc.property(messages, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (sent, sizes) => {
        const body = Buffer.concat(sent.map(frameMessage));
        const reader = new MessageReader();
        const received: Buffer[] = [];
        for (let at = 0, turn = 0; at < body.length; turn++) {
          const end = at + sizes[turn % sizes.length]!;
          received.push(...reader.read(body.subarray(at, end)));
          at = end;
        }
        assert.deepEqual(
          received.map(String),
          sent.map((message) => String(Buffer.from(message))),
        );
        assert.equal(reader.isBetweenMessages, true);
      }),
    );
  });

  it('knows that a body ends within a message', () => {
    const reader = new MessageReader();
    reader.read(frameMessage(Buffer.from('abc')).subarray(0, 7));
    assert.equal(reader.isBetweenMessages, false);
  });

  it('refuses messages that are compressed or longer than 64 MiB', () => {
    assert.throws(() => new MessageReader().read(Buffer.from([1, 0, 0, 0, 0])), /compressed/);
    assert.throws(() => new MessageReader().read(Buffer.from([0, 4, 0, 0, 1])), /too long/);
  });
});
