// A test application that speaks gRPC of every kind; messages are bytes, and their text says what to do.
import grpc from '@grpc/grpc-js';

const name = process.env.NAME ?? 'grpc';
const bytes = (value) => value;
const method = (path, requestStream, responseStream) => ({
  path: `/test.Echo/${path}`,
  requestStream,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
});

let calls = 0;
let cancelled = 0;

/** What the caller sent goes back: metadata as headers, and once more behind the messages. */
function metadataOf(call, ...names) {
  const back = new grpc.Metadata();
  for (const key of names) for (const value of call.metadata.get(key)) back.add(key, value);
  back.set('x-app', name);
  return back;
}

function watch(call) {
  calls++;
  call.on('cancelled', () => cancelled++);
  call.sendMetadata(metadataOf(call, 'x-text', 'x-bytes-bin'));
}

/** `fail CODE TEXT`: without headers first, so that the status is all that there is (Trailers-Only). */
const failure = (text) => {
  const [, code, details] = /^fail (\d+) (.*)$/s.exec(text) ?? [];
  return code === undefined ? undefined : { code: Number(code), details };
};

const server = new grpc.Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 });
server.addService(
  {
    unary: method('Unary', false, false),
    serverStream: method('ServerStream', false, true),
    clientStream: method('ClientStream', true, false),
    bidi: method('Bidi', true, true),
  },
  {
    unary(call, answer) {
      const text = call.request.subarray(0, 1000).toString();
      if (text === 'state')
        return answer(null, Buffer.from(JSON.stringify({ calls, cancelled, timeout: call.metadata.get('x-timeout') })));
      const failed = failure(text);
      if (failed !== undefined) {
        calls++;
        return answer({ ...failed, metadata: metadataOf(call, 'x-trail-bin') });
      }
      watch(call);
      if (text === 'sleep') return;
      if (text === 'deadline') return answer(null, Buffer.from(String(call.getDeadline() - Date.now())));
      answer(null, call.request, metadataOf(call, 'x-trail-bin'));
    },
    /** `N SIZE`: as many messages, the last of them followed by a failure where the text goes on with one. */
    serverStream(call) {
      watch(call);
      const [, count, size, rest] = /^(\d+) (\d+) ?(.*)$/s.exec(call.request.toString());
      let left = Number(count);
      const message = Buffer.alloc(Number(size), 0x61);
      const next = () => {
        while (left > 0) if ((left--, !call.write(message))) return call.once('drain', next);
        if (rest === 'sleep') return;
        const failed = failure(rest);
        if (failed === undefined) call.end(metadataOf(call, 'x-trail-bin'));
        else call.emit('error', failed);
      };
      next();
    },
    clientStream(call, answer) {
      watch(call);
      let count = 0;
      let size = 0;
      call.on('data', (message) => {
        count++;
        size += message.length;
      });
      call.on('end', () => answer(null, Buffer.from(`${count} ${size}`)));
    },
    bidi(call) {
      watch(call);
      call.on('data', (message) => call.write(message));
      call.on('end', () => call.end(metadataOf(call, 'x-trail-bin')));
    },
  },
);
server.bindAsync(`127.0.0.1:${process.env.PORT}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
