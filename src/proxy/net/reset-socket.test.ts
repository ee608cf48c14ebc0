// Holds ends and resets apart on real connections: one is the end of a body, the other is its loss.
import assert from 'node:assert/strict';
import net, { type AddressInfo, type Socket } from 'node:net';
import { after, it } from 'node:test';
import { resetSocket, wasReset } from './reset-socket.js';

const server = net.createServer({ allowHalfOpen: true });
const listening = new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
after(() => server.close());

/** Both ends of a connection; nobody reads yet. */
async function connect(): Promise<[ours: Socket, theirs: Socket]> {
  await listening;
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const { port } = server.address() as AddressInfo;
  const ours = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await new Promise((resolve) => ours.once('connect', resolve));
  return [ours, await accepted];
}

/** How a connection ends for the one who reads: what it got, and whether that may be all. */
function readAll(socket: Socket): Promise<{ text: string; whole: boolean }> {
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return new Promise((resolve) => {
    socket.once('error', () => resolve({ text, whole: false }));
    socket.once('end', () => resolve({ text, whole: !wasReset(socket) }));
  });
}

it('an orderly end is no reset', async () => {
  const [ours, theirs] = await connect();
  theirs.end('all of it');
  assert.deepEqual(await readAll(ours), { text: 'all of it', whole: true });
  ours.destroy();
  theirs.destroy();
});

it('a reset is never taken for an orderly end, also right behind the last bytes', async () => {
  for (let i = 0; i < 20; i++) {
    const [ours, theirs] = await connect();
    theirs.write('not all', () => resetSocket(theirs));
    assert.equal((await readAll(ours)).whole, false);
    ours.destroy();
  }
});

it('the socket is reset in a turn of its own', async () => {
  const [ours, theirs] = await connect();
  ours.on('error', () => undefined);
  resetSocket(theirs);
  assert.equal(theirs.destroyed, false);
  await new Promise((resolve) => theirs.once('close', resolve));
  ours.destroy();
});
