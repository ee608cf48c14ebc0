// The exchange of metadata that opens every connection between Lateen proxies: both sides send at once, both wait for the
// other. A server speaks only after it has accepted the client's certificate, so to the client its preamble is the proof
// that it was let in: until then a refusal is a connection that failed, and nothing of a request was sent.
import type { Socket } from 'node:net';
import { messageOf } from '../../util/errors.js';
import { decodePreamble, encodePreamble, type NodeMetadata } from '../../telemetry/peer-metadata.js';

/** Names of protocols that begin with this exchange. */
export function hasPreamble(protocol: string | false | null | undefined): boolean {
  return typeof protocol === 'string' && protocol.startsWith('lateen-');
}

export type PreambleResult =
  | { readonly ok: true; readonly metadata: NodeMetadata | undefined; readonly rest: Buffer | undefined }
  | { readonly ok: false; readonly reason: string };

/** How long a peer may take for its preamble: as long as for its handshake. */
const longestWaitMs = 10_000;

/** Sends ours and calls back once with the peer's, or with why it did not come; the socket is then paused. */
export function exchangePreambles(socket: Socket, own: NodeMetadata, done: (result: PreambleResult) => void): void {
  let held: Buffer | undefined;
  const timer = setTimeout(
    () => finish({ ok: false, reason: `the peer told nothing of itself within ${longestWaitMs / 1000} s` }),
    longestWaitMs,
  );
  const finish = (result: PreambleResult) => {
    clearTimeout(timer);
    socket.off('data', onData);
    socket.off('end', onClose);
    socket.off('close', onClose);
    socket.off('error', onError);
    socket.pause();
    done(result);
  };
  const onData = (chunk: Buffer) => {
    held = held === undefined ? chunk : Buffer.concat([held, chunk]);
    try {
      const state = decodePreamble(held);
      if (!state.complete) return;
      finish({
        ok: true,
        metadata: state.metadata,
        rest: state.length < held.length ? held.subarray(state.length) : undefined,
      });
    } catch (error) {
      finish({ ok: false, reason: messageOf(error) });
    }
  };
  const onClose = () =>
    finish({
      ok: false,
      reason: 'the peer closed the connection after the handshake; it may have refused our certificate',
    });
  const onError = (error: Error) =>
    finish({ ok: false, reason: `the peer refused the connection after the handshake (${error.message})` });
  socket.on('data', onData);
  socket.on('end', onClose); // our own half stays open until we close it
  socket.on('close', onClose);
  socket.on('error', onError);
  socket.write(encodePreamble(own));
}
