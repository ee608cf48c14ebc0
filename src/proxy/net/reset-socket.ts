// Ends a connection with a reset (RST), so that the other side cannot take what it has for everything.
import type { Socket } from 'node:net';

/**
 * Resets the connection, in a turn of its own: a socket below TLS that goes away while TLS works on it crashes Node 20.
 *
 * Node's own `resetAndDestroy` sends a FIN first, which the other side may read as an orderly end before the reset arrives.
 * The mark that it sets is what makes `destroy` reset instead of close.
 */
export function resetSocket(socket: Socket): void {
  (socket as Socket & { resetAndClosing?: boolean }).resetAndClosing = true;
  setImmediate(() => socket.destroy());
}

/**
 * Whether a connection that has just told its end was reset in truth.
 *
 * When a reset arrives together with the last bytes, libuv reports those and then an orderly end. The kernel knows better:
 * a connection that was reset has no peer any more. Once our own side has ended nothing can be told apart.
 */
export function wasReset(socket: Socket): boolean {
  const { _handle: handle } = socket as Socket & { _handle?: { getpeername?: (out: object) => number } | null };
  return !socket.writableEnded && handle?.getpeername !== undefined && handle.getpeername({}) !== 0;
}
