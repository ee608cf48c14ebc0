// Reads a connection without Node's stream machinery: what comes is put into one buffer of the process and taken from there.
// Otherwise every read takes 64 KiB of its own, gives most of it back, and passes a queue, a few listeners and a tick: for
// small messages a tenth of what a proxy costs, for bulk so much garbage that collecting it is a third.
//
// Node offers this for connections that it opens (`onread` of net.connect), not for those that it accepts nor for TLS, though
// all are the same underneath. So the places where a socket keeps the buffer are looked up; where they are not found, streams
// are used.
import net, { type Socket } from 'node:net';

/** Most bytes of one read. */
export const longestRead = 256 * 1024;
/** The same for messages, whose bodies are held to windows that are multiples of it. */
const longestReadOfMessages = 64 * 1024;
const buffer = Buffer.allocUnsafeSlow(longestRead);

type Callback = (bytes: number) => boolean;
interface Internals {
  readonly buffer: symbol;
  readonly callback: symbol;
}
type InternalSocket = Socket & {
  [key: symbol]: unknown;
  readonly _handle?: { useUserBuffer?: (buffer: Buffer) => void } | null;
};

const internals = findInternals();

/** Where sockets keep the buffer and whom they tell, as the option `onread` sets them. */
function findInternals(): Internals | undefined {
  const probe = new net.Socket();
  const symbols = Object.getOwnPropertySymbols(probe);
  const find = (name: string) => symbols.find(({ description }) => description === name);
  const [place, callback] = [find('kBuffer'), find('kBufferCb')];
  probe.destroy();
  return place === undefined || callback === undefined ? undefined : { buffer: place, callback };
}

/**
 * Passes what `socket` receives to `take`, in a buffer that is good only during the call where it `isBorrowed`. `take` returns
 * false to be told nothing more until the socket is resumed; what TLS has decrypted already comes all the same. `end`, `close`,
 * `pause` and `resume` are as ever.
 * @param most bytes of one read, at most `longestRead`
 * @returns a function after which the socket emits `data` again
 */
export function readBorrowed(
  socket: Socket,
  take: (bytes: Buffer, isBorrowed: boolean) => boolean,
  most: number = longestReadOfMessages,
): () => void {
  const { _handle: handle } = socket as InternalSocket;
  if (internals === undefined || handle?.useUserBuffer === undefined) {
    const onData = (chunk: Buffer) => {
      if (!take(chunk, false)) socket.pause();
    };
    socket.on('data', onData);
    return () => socket.off('data', onData);
  }
  let isDirect = true;
  const callback: Callback = (length) => {
    const bytes = buffer.subarray(0, length);
    return isDirect ? take(bytes, true) : socket.push(Buffer.from(bytes));
  };
  // What was read already stands in the stream.
  for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null)
    take(chunk, false);
  const target = socket as InternalSocket;
  const place = buffer.subarray(0, most);
  target[internals.buffer] = place;
  target[internals.callback] = callback;
  handle.useUserBuffer(place);
  return () => (isDirect = false);
}
