// What a listener needs of a server: Node's own, or one whose connections another process accepts for this one.
import net, { type Socket } from 'node:net';

/** The part of `net.Server` that listeners use. */
export interface ConnectionServer {
  readonly listening: boolean;
  on(event: 'connection', listener: (socket: Socket) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  /** A connection was turned away because too many are open. */
  on(event: 'drop', listener: () => void): unknown;
  once(event: 'error', listener: (error: Error) => void): unknown;
  removeAllListeners(event: 'error'): unknown;
  listen(
    options: { readonly host: string; readonly port: number; readonly backlog: number },
    onListening: () => void,
  ): unknown;
  close(): unknown;
}

/** A server of this process. */
export function createOwnServer(): ConnectionServer {
  return net.createServer({ allowHalfOpen: true, noDelay: true });
}
