// Our calls of gRPC against the servers of grpc-js, which the control plane uses.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { Server, ServerCredentials, status, type ServerDuplexStream, type ServerUnaryCall } from '@grpc/grpc-js';
import { callOnce, type GrpcCall, type GrpcChannel, type GrpcFailure } from '../../util/grpc-channel.js';
import { Http2Channel } from './channel.js';

const pass = (bytes: Uint8Array) => Buffer.from(bytes);
const methodOf = (name: string) => ({
  path: `/test.Service/${name}`,
  requestStream: name !== 'Unary',
  responseStream: name !== 'Unary',
  requestSerialize: pass,
  requestDeserialize: pass,
  responseSerialize: pass,
  responseDeserialize: pass,
});
const unary = methodOf('Unary');
const stream = methodOf('Stream');

type Stream = ServerDuplexStream<Buffer, Buffer>;

/** How the server treats streams, by the header `do`. */
const behaviours: Record<string, (call: Stream) => void> = {
  echo: (call) => {
    call.on('data', (message: Buffer) => call.write(message));
    call.on('end', () => call.end());
  },
  refuse: (call) => call.emit('error', { code: status.PERMISSION_DENIED, details: 'no: 100 % no, é' }),
};

async function startServer(address: string): Promise<Server> {
  const server = new Server({ 'grpc.max_receive_message_length': -1 });
  server.addService(
    { Unary: unary, Stream: stream },
    {
      Unary: (call: ServerUnaryCall<Buffer, Buffer>, answer: (error: null, message: Buffer) => void) => {
        const wanted = call.metadata.get('size')[0];
        if (wanted === undefined) answer(null, Buffer.from(String(call.metadata.get('authorization')[0])));
        else if (wanted !== 'never') answer(null, Buffer.alloc(Number(wanted), 'x'));
      },
      Stream: (call: Stream) => {
        call.on('error', () => undefined);
        behaviours[String(call.metadata.get('do')[0])]!(call);
      },
    },
  );
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(address, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    ),
  );
  return server;
}

interface Opened {
  readonly call: GrpcCall<Uint8Array>;
  readonly received: string[];
  /** Resolves with the number of messages that are there, once there are so many. */
  readonly until: (messages: number) => Promise<void>;
  readonly ended: Promise<GrpcFailure | undefined>;
}

function open(channel: GrpcChannel, behaviour: string): Opened {
  const received: string[] = [];
  let tell = () => {};
  let onEnd: (failure: GrpcFailure | undefined) => void;
  const ended = new Promise<GrpcFailure | undefined>((resolve) => (onEnd = resolve));
  const call = channel.call(
    stream,
    {
      onMessage: (message) => {
        received.push(message.toString());
        tell();
      },
      onEnd: (failure) => onEnd(failure),
    },
    { headers: ['do', behaviour] },
  );
  const until = (messages: number) =>
    new Promise<void>((resolve) => {
      tell = () => {
        if (received.length >= messages) resolve();
      };
      tell();
    });
  return { call, received, until, ended };
}

describe('calls of gRPC', () => {
  const folder = mkdtempSync(join(tmpdir(), 'grpc-'));
  const address = `unix:${join(folder, 's')}`;
  const channels: Http2Channel[] = [];
  let server: Server;

  const connect = (to = address) => {
    const channel = new Http2Channel(to);
    channels.push(channel);
    return channel;
  };
  before(async () => {
    server = await startServer(address);
  });
  afterEach(() => channels.splice(0).forEach((channel) => channel.close()));
  after(() => {
    server.forceShutdown();
    rmSync(folder, { recursive: true, force: true });
  });

  it('carry a request with its headers and bring the answer', async () => {
    const answer = await callOnce(connect(), unary, Buffer.from('hi'), { headers: ['authorization', 'Bearer t'] });
    assert.equal(answer.toString(), 'Bearer t');
  });

  it('take answers that are longer than every window', async () => {
    const size = 5_000_000;
    const answer = await callOnce(connect(), unary, Buffer.from('hi'), { headers: ['size', String(size)] });
    assert.equal(answer.length, size);
  });

  it('stream in both directions, also what was written before there was a connection, until both have ended', async () => {
    const { call, received, until, ended } = open(connect(), 'echo');
    call.write(Buffer.from('one'));
    call.write(Buffer.from(''));
    await until(2);
    call.write(Buffer.from('three'));
    call.end();
    assert.equal(await ended, undefined);
    assert.deepEqual(received, ['one', '', 'three']);
  });

  it('share a connection, in any number', async () => {
    const channel = connect();
    const calls = Array.from({ length: 150 }, (_, index) => {
      const opened = open(channel, 'echo');
      opened.call.write(Buffer.from(String(index)));
      return opened;
    });
    await Promise.all(calls.map(({ until }) => until(1)));
    assert.deepEqual(
      calls.map(({ received }) => received[0]),
      calls.map((_, index) => String(index)),
    );
  });

  it('end with the status and the text of the server', async () => {
    assert.deepEqual(await open(connect(), 'refuse').ended, {
      code: status.PERMISSION_DENIED,
      details: 'no: 100 % no, é',
    });
  });

  for (const [when, first] of [
    ['at once', ''],
    ['once there is a connection', 'first'],
  ] as const)
    it(`say when there is room again for what was not taken ${when}`, async () => {
      const channel = connect();
      const room = { isThere: () => {} };
      let failure: GrpcFailure | undefined;
      const call = channel.call(
        stream,
        { onMessage: () => room.isThere(), onDrain: () => room.isThere(), onEnd: (reason) => (failure = reason) },
        { headers: ['do', 'echo'] },
      );
      const untilTold = () => new Promise<void>((resolve) => (room.isThere = resolve));
      if (first !== '') {
        call.write(Buffer.from(first));
        await untilTold();
      }
      const message = Buffer.alloc(20_000);
      let written = 0;
      while (written < 1000 && call.write(message)) written++;
      assert.ok(written < 1000, 'everything was taken');
      await untilTold();
      assert.equal(failure, undefined);
    });

  it('end when their time is over', async () => {
    await assert.rejects(
      callOnce(connect(), unary, Buffer.from('hi'), { headers: ['size', 'never'], timeoutMs: 50 }),
      /no answer within 50 ms/,
    );
  });

  it('tell nothing any more once they are given up', async () => {
    const channel = connect();
    const { call, until, received } = open(channel, 'echo');
    call.write(Buffer.from('one'));
    await until(1);
    call.cancel();
    const other = open(channel, 'echo');
    other.call.write(Buffer.from('other'));
    await other.until(1);
    assert.deepEqual(received, ['one']);
  });

  it('fail where nobody listens, and work on the same channel when somebody does', async () => {
    const late = `unix:${join(folder, 'late')}`;
    const channel = connect(late);
    const failure = await open(channel, 'echo').ended;
    assert.equal(failure?.code, status.UNAVAILABLE);
    assert.match(failure.details, /cannot be reached: .*ENOENT/);
    const started = await startServer(late);
    const { call, until } = open(channel, 'echo');
    call.write(Buffer.from('now'));
    await until(1);
    started.forceShutdown();
  });

  it('fail when the server goes away, and reach the next one', async () => {
    const place = `unix:${join(folder, 'again')}`;
    const first = await startServer(place);
    const channel = connect(place);
    const lost = open(channel, 'echo');
    lost.call.write(Buffer.from('x'));
    await lost.until(1);
    first.forceShutdown();
    assert.equal((await lost.ended)?.code, status.UNAVAILABLE);
    rmSync(place.slice('unix:'.length), { force: true });
    const second = await startServer(place);
    const again = open(channel, 'echo');
    again.call.write(Buffer.from('y'));
    await again.until(1);
    second.forceShutdown();
  });

  it('fail on a channel that is closed', async () => {
    const channel = connect();
    channel.close();
    assert.equal((await open(channel, 'echo').ended)?.code, status.UNAVAILABLE);
  });

  it('fail where the server speaks something else', async () => {
    const other = net.createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const channel = connect(`127.0.0.1:${(other.address() as AddressInfo).port}`);
    assert.equal((await open(channel, 'echo').ended)?.code, status.UNAVAILABLE);
    other.close();
  });
});
