// Holds the writer of frames to what it promises: order, few writes, the end of a stream in its last frame, buffers that come back.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Http2Peer } from '../../../../test/harness/http2-peer.js';
import { MemorySocket, settle } from '../../../../test/harness/memory-socket.js';
import { frameBuffers, FrameWriter } from './frame-writer.js';
import { errorCode } from './frames.js';

function open() {
  const socket = new MemorySocket();
  let writes = 0;
  const parts: Buffer[] = [];
  const write = socket.write.bind(socket) as (chunk: Buffer, done?: () => void) => boolean;
  socket.write = ((chunk: Buffer, done?: () => void) => {
    parts.push(chunk);
    return write(chunk, done);
  }) as never;
  socket.onSent = () => writes++;
  const peer = new Http2Peer(socket);
  return {
    socket,
    writer: new FrameWriter(socket),
    parts,
    writes: () => writes,
    lines: async () => {
      await settle(2);
      return peer.lines();
    },
  };
}

function block(writer: FrameWriter, stream: number, fields: readonly string[], endStream = false, mayEnd = true): void {
  writer.beginBlock([...fields]);
  writer.fields([...fields]);
  writer.endBlock(stream, endStream, mayEnd);
}

/** A buffer that is lent again right after it came back. */
function lentNext(): Buffer {
  const buffer = frameBuffers.borrow();
  frameBuffers.giveBack(buffer);
  return buffer;
}

it('what is written within a turn leaves in one write, in its order', async () => {
  const { writer, writes, lines } = open();
  block(writer, 1, [':status', '200', 'a', 'b']);
  writer.data(1, Buffer.from('hello'), 1, 4);
  writer.ping(Buffer.from('12345678'), true);
  writer.rst(3, errorCode.cancel);
  writer.windowUpdate(0, 77);
  writer.settings([
    [1, 2],
    [3, 4],
  ]);
  writer.settingsAck();
  writer.goaway(5, errorCode.noError, 'bye');
  assert.equal(writes(), 0);
  assert.deepEqual(await lines(), [
    'HEADERS 1 :status=200, a=b',
    'DATA 1 "ell"',
    'PING "12345678" ack',
    'RST 3 cancel',
    'WINDOW_UPDATE 0 77',
    'SETTINGS headerTableSize=2 maxConcurrentStreams=4',
    'SETTINGS ack',
    'GOAWAY 5 noError bye',
  ]);
  assert.equal(writes(), 1);
});

describe('the end of a stream', () => {
  it('is told by its last frame, where that has not left', async () => {
    const { writer, lines } = open();
    writer.data(1, Buffer.from('a'), 0, 1);
    writer.endStream(1);
    block(writer, 3, ['a', 'b']);
    writer.endStream(3);
    assert.deepEqual(await lines(), ['DATA 1 "a" end', 'HEADERS 3 a=b end']);
  });

  it('is told by a frame of its own, where its last frame has left', async () => {
    const { writer, lines } = open();
    writer.data(1, Buffer.from('a'), 0, 1);
    assert.deepEqual(await lines(), ['DATA 1 "a"']);
    writer.endStream(1);
    assert.deepEqual(await lines(), ['DATA 1 "" end']);
  });

  it('is told by a large frame too', async () => {
    const { writer, lines } = open();
    writer.data(1, Buffer.alloc(16_000), 0, 16_000);
    writer.endStream(1);
    assert.deepEqual(await lines(), ['DATA 1 16000 end']);
  });

  it('is not told by the frame of another stream', async () => {
    const { writer, lines } = open();
    writer.data(1, Buffer.from('a'), 0, 1);
    writer.data(3, Buffer.from('b'), 0, 1);
    writer.endStream(1);
    writer.endStream(3);
    assert.deepEqual(await lines(), ['DATA 1 "a"', 'DATA 3 "b"', 'DATA 1 "" end', 'DATA 3 "" end']);
  });

  it('stays a frame of its own behind a head that says so', async () => {
    const { writer, lines } = open();
    block(writer, 1, ['a', 'b'], false, false);
    writer.endStream(1);
    assert.deepEqual(await lines(), ['HEADERS 1 a=b', 'DATA 1 "" end']);
  });

  it('is told once where the next buffer has been begun', async () => {
    const { writer, lines } = open();
    writer.data(1, Buffer.from('a'), 0, 1);
    for (let i = 0; i < 5; i++) writer.data(3, Buffer.alloc(8000), 0, 8000);
    writer.endStream(1);
    writer.endStream(3);
    assert.deepEqual((await lines()).slice(-2), ['DATA 1 "" end', 'DATA 3 "" end']);
  });
});

describe('a block that is longer than a frame', () => {
  for (const bytes of [16_000, 40_000])
    it(`goes on in further frames, at ${bytes} bytes`, async () => {
      const { writer, lines } = open();
      const value = 'v'.repeat(bytes);
      writer.ping(Buffer.from('12345678'), true);
      block(writer, 1, ['a', value, 'b', value], true);
      writer.ping(Buffer.from('87654321'), true);
      const got = await lines();
      const count = Math.ceil((2 * bytes) / 16_384);
      assert.equal(got.length, count + 2);
      assert.equal(got[1], 'HEADERS 1 end ...');
      assert.equal(got.at(-2), `CONTINUATION 1 a=${value}, b=${value}`);
    });

  it('is as long as a frame may be without a further one', async () => {
    const { writer, lines } = open();
    for (const bytes of [16_384 - 5, 16_384 - 6]) block(writer, 1, ['a', 'v'.repeat(bytes)]);
    assert.deepEqual(
      (await lines()).map((line) => line.slice(0, 14)),
      ['HEADERS 1 ...', 'CONTINUATION 1', 'HEADERS 1 a=vv'],
    );
  });
});

describe('bodies', () => {
  it('may change as soon as they were written, and leave in one piece', async () => {
    const { writer, parts, lines } = open();
    const chunk = Buffer.alloc(10_000, 'x');
    for (let i = 0; i < 12; i++) {
      writer.data(1, chunk, 1000, 10_000);
      chunk.fill(String.fromCharCode('a'.charCodeAt(0) + i));
    }
    writer.endStream(1);
    const got = await lines();
    assert.equal(got.length, 12);
    assert.equal(got.at(-1), 'DATA 1 9000 end');
    assert.equal(parts.length, 1);
    const sent = Buffer.concat(parts).toString('latin1');
    assert.deepEqual(
      [...'xabcdefghijkl'].map((letter) => sent.split(letter).length - 1),
      [...Array.from({ length: 12 }, () => 9000), 0],
    );
  });

  it('ask to wait above a mark, until the socket tells', async () => {
    const { writer, socket } = open();
    const release = socket.holdWrites();
    writer.data(1, Buffer.alloc(16_000), 0, 16_000);
    assert.equal(writer.hasRoom, true);
    for (let i = 0; i < 8; i++) writer.data(1, Buffer.alloc(16_000), 0, 16_000);
    assert.equal(writer.hasRoom, false);
    await settle(2);
    assert.equal(writer.hasRoom, false);
    assert.equal(writer.queuedBytes, 9 * 16_009);
    const drained = new Promise((resolve) => socket.once('drain', resolve));
    release();
    await drained;
    assert.equal(writer.hasRoom, true);
  });
});

describe('buffers', () => {
  it('come back when the socket has taken them, and not before', async () => {
    const { writer, socket, parts } = open();
    const buffer = lentNext();
    const release = socket.holdWrites();
    writer.ping(Buffer.from('12345678'), true);
    await settle(2);
    assert.equal(parts[0]!.buffer, buffer.buffer);
    assert.notEqual(lentNext(), buffer);
    release();
    await settle(2);
    const kept = Array.from({ length: 20 }, () => frameBuffers.borrow());
    assert.ok(kept.includes(buffer));
    for (const each of kept) frameBuffers.giveBack(each);
  });

  it('come back where the socket is gone', async () => {
    const { writer, socket } = open();
    const buffer = lentNext();
    writer.ping(Buffer.from('12345678'), true);
    socket.destroy();
    await settle();
    assert.equal(lentNext(), buffer);
  });

  it('that would be too small are made for the purpose, and not kept', async () => {
    const { writer, parts, lines } = open();
    block(writer, 1, ['a', 'v'.repeat(2 * frameBuffers.bytes)]);
    await lines();
    const lent = Array.from({ length: 20 }, () => frameBuffers.borrow());
    assert.ok(parts.every((part) => !lent.some((buffer) => buffer.buffer === part.buffer)));
    for (const each of lent) frameBuffers.giveBack(each);
  });
});

it('our end follows everything that was written', async () => {
  const { writer, socket, lines } = open();
  writer.goaway(0, errorCode.noError);
  writer.end();
  assert.deepEqual(await lines(), ['GOAWAY 0 noError']);
  assert.equal(socket.writableEnded, true);
});
