// The exchange of metadata over real connections.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { listenTcp, metadataOf } from '../../../test/harness/secrets.js';
import { encodePreamble } from '../../telemetry/peer-metadata.js';
import { exchangePreambles, hasPreamble, type PreambleResult } from './preamble.js';

it('protocols of Lateen begin with an exchange, others do not', () => {
  for (const protocol of ['lateen-h1', 'lateen-tcp']) assert.equal(hasPreamble(protocol), true);
  for (const protocol of ['h2', 'istio', 'xlateen-h1', '', false, null, undefined] as const)
    assert.equal(hasPreamble(protocol), false);
});

describe('an exchange of metadata', () => {
  let here: Socket;
  let there: Socket;
  let close: () => void;
  beforeEach(async () => {
    let accepted: (socket: Socket) => void;
    const arrived = new Promise<Socket>((resolve) => (accepted = resolve));
    const server = await listenTcp((socket) => accepted(socket));
    ({ close } = server);
    here = net.connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
    here.on('error', () => undefined);
    there = await arrived;
  });
  afterEach(() => {
    here.destroy();
    close();
  });

  const exchange = (socket: Socket, account: string) =>
    new Promise<PreambleResult>((resolve) => exchangePreambles(socket, metadataOf(account), resolve));

  it('gives each side what the other says, and leaves the connection paused', async () => {
    const [a, b] = await Promise.all([exchange(here, 'client'), exchange(there, 'server')]);
    assert.ok(a.ok && b.ok);
    assert.equal(a.metadata?.SERVICE_ACCOUNT, 'server');
    assert.equal(b.metadata?.SERVICE_ACCOUNT, 'client');
    assert.equal(a.rest, undefined);
    assert.ok(here.isPaused() && there.isPaused());
    assert.equal(here.listenerCount('data'), 0);
  });

  it('keeps what follows at once', async () => {
    const result = exchange(here, 'client');
    there.write(Buffer.concat([encodePreamble(metadataOf('server')), Buffer.from('bytes')]));
    const outcome = await result;
    assert.equal(outcome.ok && String(outcome.rest), 'bytes');
  });

  it('is the same when it arrives byte by byte', async () => {
    const result = exchange(here, 'client');
    for (const byte of encodePreamble(metadataOf('server'))) {
      there.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal((await result).ok, true);
  });

  for (const [what, answer, reason] of [
    ['something else', (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n'), /did not begin with its metadata/],
    ['a reset', (socket: Socket) => socket.resetAndDestroy(), /refused|closed/],
    ['a close', (socket: Socket) => socket.destroy(), /refused|closed/],
    ['an end without metadata', (socket: Socket) => socket.end(), /closed/],
    ['an end in the middle', (socket: Socket) => socket.end(encodePreamble(metadataOf('x')).subarray(0, 20)), /closed/],
  ] as const)
    it(`fails with a reason on ${what}`, async () => {
      const result = exchange(here, 'client');
      answer(there);
      const outcome = await result;
      assert.ok(!outcome.ok);
      assert.match(outcome.reason, reason);
    });

  it('is told once, though the connection ends after it', async () => {
    let told = 0;
    exchangePreambles(here, metadataOf('client'), () => told++);
    there.write(encodePreamble(metadataOf('server')));
    there.end();
    await once(there, 'data');
    here.resume();
    await once(here, 'end');
    assert.equal(told, 1);
  });
});
