// A stream of HTTP/2 and its windows, on connections that exist only in memory.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { client, framesOf, postHead, serverSettings, windowUpdate } from '../../../../test/harness/memory-http2.js';
import { settle } from '../../../../test/harness/memory-socket.js';

const opened: { destroy(): void }[] = [];
afterEach(() => {
  for (const one of opened.splice(0)) one.destroy();
});

const openClient = () => {
  const through = client();
  opened.push(through.connection);
  return through;
};

describe('an HTTP/2 stream', () => {
  it('ends once, however often its window opens afterwards', async () => {
    const { socket, begin } = openClient();
    socket.receive(serverSettings);
    const { stream } = begin(postHead);
    stream.sendBody(Buffer.alloc(100_000));
    stream.sendEnd(undefined);
    await settle();
    for (let i = 0; i < 3; i++) socket.receive(windowUpdate(0, 100_000) + windowUpdate(1, 100_000));
    await settle();
    const data = framesOf(socket.sent).filter(({ type }) => type === 'data');
    assert.equal(
      data.reduce((sum, { length }) => sum + length, 0),
      100_000,
    );
    assert.equal(data.filter(({ endStream }) => endStream).length, 1);
  });
});
