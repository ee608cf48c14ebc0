// Bytes between two real connections, and how each end closes.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { listenTcp } from '../../../test/harness/secrets.js';
import { resetSocket } from '../net/reset-socket.js';
import { relay } from './relay.js';

/** `client` talks to `a`, `server` to `b`; what is between `a` and `b` is under test. */
describe('a relay', () => {
  const closers: (() => void)[] = [];
  let client: Socket;
  let server: Socket;
  let a: Socket;
  let b: Socket;
  let counted: { forward: number; backward: number };

  async function pair(): Promise<[Socket, Socket]> {
    let arrived: (socket: Socket) => void;
    const accepted = new Promise<Socket>((resolve) => (arrived = resolve));
    const { port, close } = await listenTcp((socket) => arrived(socket.pause()));
    const dialled = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    dialled.on('error', () => undefined);
    closers.push(close, () => dialled.destroy());
    return [dialled, await accepted];
  }

  beforeEach(async () => {
    [client, a] = await pair();
    [server, b] = await pair();
    counted = { forward: 0, backward: 0 };
  });
  afterEach(() => closers.splice(0).forEach((close) => close()));

  /** Starts it; resolves when it says that it is over. */
  function join(first?: Buffer): Promise<void> {
    return new Promise((resolve) =>
      relay(
        { socket: a, first, reset: () => resetSocket(a) },
        { socket: b, first: undefined, reset: () => resetSocket(b) },
        {
          onForward: (bytes) => (counted.forward += bytes),
          onBackward: (bytes) => (counted.backward += bytes),
          onClose: resolve,
        },
      ),
    );
  }

  async function readAll(socket: Socket): Promise<number> {
    let length = 0;
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) length += (chunk as Buffer).length;
    return length;
  }

  it('carries every byte both ways, each direction ending for itself, and counts them', async () => {
    const over = join(Buffer.from('first'));
    const size = 3 * 1024 * 1024;
    client.end(Buffer.alloc(size));
    assert.equal(await readAll(server), size + 5);
    server.end(Buffer.alloc(1000));
    assert.equal(await readAll(client), 1000);
    await over;
    assert.deepEqual(counted, { forward: size + 5, backward: 1000 });
  });

  it('stops reading from one side while the other does not take it', async () => {
    const over = join();
    const chunk = Buffer.alloc(1024 * 1024);
    // More than any two sockets hold: the writer is told to wait.
    for (let i = 0; i < 64; i++) client.write(chunk);
    client.end();
    for (let before = -1, calm = 0; calm < 100; calm = counted.forward === before && before > 0 ? calm + 1 : 0) {
      before = counted.forward;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.ok(counted.forward < 64 * chunk.length, 'it read all');
    assert.ok(b.writableLength < 2 * chunk.length, `${b.writableLength} bytes wait`);
    assert.equal(await readAll(server), 64 * chunk.length);
    server.end();
    await readAll(client);
    await over;
  });

  it('breaks the other side where one breaks', async () => {
    const over = join();
    client.write('half of it');
    await once(server, 'data');
    const broken = once(server, 'error');
    resetSocket(client);
    assert.match(String((await broken)[0]), /ECONNRESET/);
    await over;
  });

  it('tells an end that came before anybody listened', async () => {
    client.end();
    a.resume();
    await once(a, 'end');
    const over = join();
    assert.equal(await readAll(server), 0);
    server.end();
    await over;
  });
});
