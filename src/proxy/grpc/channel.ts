// Calls to the control plane over the proxy's own HTTP/2: a library for gRPC would take more memory than all that it is used for.
// Connections open when there is something to call, and are not opened again before that: whoever loses a call waits and calls anew.
import net from 'node:net';
import type { GrpcCall, GrpcChannel, GrpcEvents, GrpcMethod, GrpcOptions } from '../../util/grpc-channel.js';
import { Http2ClientConnection, type SharedConnectionOwner } from '../http/http2/client-connection.js';
import { defaultHttp2Limits } from '../http/http2/limits.js';
import { OutgoingCall } from './outgoing-call.js';

const connectTimeoutMs = 5000;

type AnyCall = Pick<OutgoingCall<unknown, unknown>, 'isOver' | 'refuse'> &
  Parameters<Http2ClientConnection['begin']>[0];

export class Http2Channel implements GrpcChannel {
  readonly #address: net.NetConnectOpts;
  readonly #connections = new Set<Http2ClientConnection>();
  /** Calls that no connection has taken yet. */
  #waiting: AnyCall[] = [];
  #connecting: net.Socket | undefined;
  #isClosed = false;

  /** @param address `unix:/path` or `host:port`, as gRPC writes them */
  constructor(address: string) {
    this.#address = parseAddress(address);
  }

  call<Request, Response>(
    method: GrpcMethod<Request, Response>,
    events: GrpcEvents<Response>,
    options: GrpcOptions = {},
  ): GrpcCall<Request> {
    const call = new OutgoingCall(method, events, options);
    this.#waiting.push(call as unknown as AnyCall);
    // Not at once: whoever calls has no call yet to be told about.
    queueMicrotask(() => this.#serve());
    return call;
  }

  close(): void {
    this.#isClosed = true;
    this.#connecting?.destroy();
    this.#refuseWaiting('the channel is closed');
    for (const connection of this.#connections) connection.drain();
  }

  readonly #owner: SharedConnectionOwner = {
    onChange: () => this.#serve(),
    onEnded: () => this.#serve(),
    onClosed: (connection) => {
      this.#connections.delete(connection);
      this.#serve();
    },
    onUnprocessed: () => false,
  };

  /** Gives waiting calls to connections that have room, and opens one where there is none. */
  #serve(): void {
    this.#waiting = this.#waiting.filter(({ isOver }) => !isOver);
    for (const connection of this.#connections)
      while (this.#waiting.length > 0 && connection.hasRoomForRequest) connection.begin(this.#waiting.shift()!);
    if (this.#waiting.length === 0) return;
    if (this.#isClosed) this.#refuseWaiting('the channel is closed');
    else this.#connecting ??= this.#connect();
  }

  #connect(): net.Socket {
    const socket = net.connect(this.#address);
    const failed = (reason: string) => {
      this.#connecting = undefined;
      socket.destroy();
      this.#refuseWaiting(`the control plane cannot be reached: ${reason}`);
    };
    const onError = (error: Error) => failed(error.message);
    socket.setTimeout(connectTimeoutMs, () => failed('it does not answer'));
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.setNoDelay(true);
      socket.off('error', onError);
      this.#connecting = undefined;
      this.#connections.add(
        new Http2ClientConnection(socket, this.#owner, {
          limits: defaultHttp2Limits,
          carries: false,
          asksWhenSilent: true,
        }),
      );
      this.#serve();
    });
    return socket;
  }

  #refuseWaiting(reason: string): void {
    const refused = this.#waiting;
    this.#waiting = [];
    for (const call of refused) call.refuse(reason);
  }
}

function parseAddress(address: string): net.NetConnectOpts {
  if (address.startsWith('unix:')) return { path: address.slice('unix:'.length) };
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
}
