// Holds reading past Node's streams to what streams promise: every byte, in order, the end, and rest while nobody wants more.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { MemorySocket } from '../../../test/harness/memory-socket.js';
import { readBorrowed } from './direct-reads.js';

const closers: (() => void)[] = [];
afterEach(() => closers.splice(0).forEach((close) => close()));

/** Both ends of a connection; the accepted one is paused. */
async function pair(): Promise<{ readonly caller: Socket; readonly accepted: Socket }> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const caller = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  closers.push(
    () => server.close(),
    () => caller.destroy(),
    () => accepted.destroy(),
  );
  return { caller, accepted };
}

const pattern = (bytes: number, from = 0) =>
  Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => (from + i) % 251));

describe('reading directly', () => {
  it('passes on every byte in order, what was read before too, and tells the end', async () => {
    const { caller, accepted } = await pair();
    caller.write(pattern(1000));
    accepted.resume(); // as whoever looked at the first bytes: some are in the stream already
    await once(accepted, 'readable');
    accepted.pause();
    const got: Buffer[] = [];
    readBorrowed(accepted, (bytes) => got.push(Buffer.from(bytes)) > 0);
    accepted.resume();
    caller.end(pattern(1_000_000, 1000));
    await once(accepted, 'end');
    assert.ok(Buffer.concat(got).equals(pattern(1_001_000)));
  });

  it('uses one buffer for all connections, which is good only during the call', async () => {
    const [one, other] = [await pair(), await pair()];
    const seen: ArrayBufferLike[] = [];
    const told = [one, other].map(
      ({ accepted }) =>
        new Promise<void>((resolve) => {
          readBorrowed(accepted, (bytes, isBorrowed) => {
            assert.equal(isBorrowed, true);
            seen.push(bytes.buffer);
            resolve();
            return true;
          });
          accepted.resume();
        }),
    );
    one.caller.write('a');
    other.caller.write('b');
    await Promise.all(told);
    assert.equal(seen[0], seen[1]);
  });

  it('rests after a refusal until the socket is resumed', async () => {
    const { caller, accepted } = await pair();
    let bytesRead = 0;
    let reads = 0;
    let reachThird: () => void;
    const third = new Promise<void>((resolve) => (reachThird = resolve));
    const size = 32 * 1024 * 1024; // more than both sockets hold
    readBorrowed(accepted, (bytes) => {
      bytesRead += bytes.length;
      if (++reads !== 3) return true;
      reachThird();
      return false;
    });
    accepted.resume();
    caller.end(Buffer.alloc(size));
    await third;
    const before = bytesRead;
    for (let i = 0; i < 100; i++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(bytesRead, before);
    accepted.resume();
    await once(accepted, 'end');
    assert.equal(bytesRead, size);
  });

  it('leaves what comes after it has ended to the stream', async () => {
    const { caller, accepted } = await pair();
    let direct = '';
    const stop = readBorrowed(accepted, (bytes) => {
      direct += bytes.toString();
      stop();
      caller.write('second');
      return true;
    });
    accepted.resume();
    caller.write('first');
    const [data] = (await once(accepted, 'data')) as [Buffer];
    assert.deepEqual([direct, data.toString()], ['first', 'second']);
  });

  it('falls back to the stream where a connection has no buffer of its own', async () => {
    const socket = new MemorySocket();
    const got: [string, boolean][] = [];
    readBorrowed(socket.socket, (bytes, isBorrowed) => got.push([bytes.toString(), isBorrowed]) > 1);
    socket.receive('a');
    await once(socket, 'pause');
    socket.receive('b');
    assert.deepEqual(got, [['a', false]]);
    socket.resume();
    await once(socket, 'data');
    assert.deepEqual(got.at(-1), ['b', false]);
  });
});
