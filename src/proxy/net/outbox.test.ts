// Holds the outbox to its promises: one call a turn, order kept, and nobody waits for a drain that never comes.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { MemorySocket, settle } from '../../../test/harness/memory-socket.js';
import { Outbox } from './outbox.js';

/** A socket whose writes end when the test says so. */
class SlowSocket extends MemorySocket {
  writes = 0;
  #done: (() => void)[] = [];

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.writes++;
    this.sent += chunk.toString('latin1');
    this.#done.push(done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'latin1', done);
  }

  async release(): Promise<void> {
    this.#done.shift()?.();
    await new Promise((resolve) => process.nextTick(resolve));
  }
}

it('what is written in one turn leaves in one call', async () => {
  const peer = new SlowSocket();
  const outbox = new Outbox(peer.socket);
  outbox.text('head ');
  outbox.bytes(Buffer.from('small '));
  outbox.bytes(Buffer.alloc(5000, 'x'));
  outbox.text(' tail');
  assert.equal(peer.writes, 0);
  await settle(1);
  assert.deepEqual([peer.writes, peer.sent], [1, `head small ${'x'.repeat(5000)} tail`]);
});

it('order is kept, whatever is written how', async () => {
  const piece = fc.record({
    isText: fc.boolean(),
    length: fc.constantFrom(0, 1, 10, 4096, 4097, 9000),
    turn: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
      const peer = new MemorySocket();
      const outbox = new Outbox(peer.socket);
      let expected = '';
      for (const [i, { isText, length, turn }] of pieces.entries()) {
        const text = String.fromCharCode(0xe0 + i).repeat(length);
        expected += text;
        if (isText) outbox.text(text);
        else outbox.bytes(Buffer.from(text, 'latin1'));
        if (turn) await settle(1);
      }
      await settle(1);
      assert.equal(peer.sent === expected, true);
    }),
    { numRuns: 50 },
  );
});

it('the end comes after everything written before it', async () => {
  const peer = new MemorySocket();
  const outbox = new Outbox(peer.socket);
  outbox.text('last');
  outbox.end();
  assert.equal(peer.writableEnded, false);
  await settle(1);
  assert.deepEqual([peer.sent, peer.writableEnded], ['last', true]);
});

it('flushing by hand leaves nothing for later', async () => {
  const peer = new MemorySocket();
  const outbox = new Outbox(peer.socket);
  outbox.text('now');
  outbox.flush();
  assert.equal(peer.sent, 'now');
  outbox.text(' later');
  await settle(1);
  assert.equal(peer.sent, 'now later');
});

it('a socket that is gone takes nothing and breaks nothing', async () => {
  const peer = new MemorySocket();
  const outbox = new Outbox(peer.socket);
  outbox.text('lost');
  peer.destroy();
  await settle();
  assert.equal(peer.sent, '');
});

for (const highWaterMark of [16 * 1024, 64 * 1024])
  it(`who is asked to wait hears of room, with a socket that holds ${highWaterMark / 1024} KiB`, async () => {
    const size = fc.constantFrom(1000, 5000, 16_000, 40_000, 63_000, 66_000);
    const step = fc.oneof(
      fc.record({ kind: fc.constant('write' as const), size }),
      fc.record({ kind: fc.constantFrom('turn' as const, 'release' as const), size: fc.constant(0) }),
    );
    // What was on its way is sent between the question and the flush.
    const lostDrain = [
      { kind: 'write' as const, size: 63_000 },
      { kind: 'turn' as const, size: 0 },
      { kind: 'write' as const, size: 5000 },
      { kind: 'release' as const, size: 0 },
    ];
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const peer = new SlowSocket(highWaterMark);
        const outbox = new Outbox(peer.socket);
        let waiting = false;
        peer.on('drain', () => (waiting = false));
        for (const { kind, size } of steps) {
          if (kind === 'write') {
            if (waiting) continue;
            outbox.bytes(Buffer.alloc(size));
            waiting = !outbox.hasRoom;
          } else if (kind === 'turn') await settle(1);
          else await peer.release();
        }
        for (let i = 0; i < 20; i++) {
          await settle(1);
          await peer.release();
        }
        assert.equal(waiting, false, 'it waits for ever');
      }),
      { numRuns: 500, examples: [[lostDrain]] },
    );
  });

for (const pieceBytes of [1000, 5000])
  it(`who is asked to wait hears of room where the system takes all at once, in pieces of ${pieceBytes} bytes`, async () => {
    const peer = new MemorySocket();
    const outbox = new Outbox(peer.socket);
    let drains = 0;
    peer.on('drain', () => drains++);
    let sent = 0;
    for (; outbox.hasRoom; sent += pieceBytes) outbox.bytes(Buffer.alloc(pieceBytes, 'x'));
    await settle();
    assert.equal(peer.sent.length, sent);
    assert.equal(drains, 1);
  });
