// Carries bytes between two connections, both ways, each end closing for itself.
import type { Socket } from 'node:net';
import { wasReset } from '../net/reset-socket.js';

/** One of the two connections. */
export interface RelayEnd {
  readonly socket: Socket;
  /** Bytes that were read already. */
  readonly first: Buffer | undefined;
  /** Ends it so that the other side cannot take it for an orderly end. */
  readonly reset: () => void;
}

export interface RelayEvents {
  /** Bytes from `a` to `b`. */
  onForward(bytes: number): void;
  /** Bytes from `b` to `a`. */
  onBackward(bytes: number): void;
  /** Both connections are over; called once. */
  onClose(): void;
}

/** Joins `a` and `b` until both are over. An end that breaks breaks the other: cut-off data must not look whole. */
export function relay(a: RelayEnd, b: RelayEnd, events: RelayEvents): void {
  let open = 2;
  const watch = (end: RelayEnd, other: RelayEnd) =>
    end.socket.once('close', (hadError) => {
      if (hadError) other.reset();
      else other.socket.destroySoon();
      if (--open === 0) events.onClose();
    });
  watch(a, b);
  watch(b, a);
  pipe(a, b, (bytes) => events.onForward(bytes));
  pipe(b, a, (bytes) => events.onBackward(bytes));
}

function pipe(from: RelayEnd, to: RelayEnd, count: (bytes: number) => void): void {
  const send = (chunk: Buffer) => {
    count(chunk.length);
    if (!to.socket.write(chunk)) from.socket.pause();
  };
  from.socket.on('data', send);
  from.socket.on('end', () => {
    if (!wasReset(from.socket)) to.socket.end();
    else {
      to.reset();
      from.socket.destroy();
    }
  });
  to.socket.on('drain', () => from.socket.resume());
  if (from.first !== undefined) send(from.first);
  // Its FIN may have come before anybody listened: a paused socket tells that only once.
  if (from.socket.readableEnded) to.socket.end();
  if (!to.socket.writableNeedDrain) from.socket.resume();
}
