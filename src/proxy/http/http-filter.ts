// Handles the connections of a listener as HTTP.
import type { Socket } from 'node:net';
import { countDenial } from '../authorization/count-denial.js';
import type { ConnectionInfo } from '../listener/connection-info.js';
import type { Handled, NetworkFilter } from '../listener/filter-chain.js';
import { Exchange } from './exchange.js';
import { Http1ServerConnection } from './http1/server-connection.js';
import { Http2ServerConnection } from './http2/server-connection.js';
import { isHttp2Protocol, multiplexProtocol } from './protocol-names.js';
import type { RequestHandler } from './request-handler.js';
import type { HttpEnvironment, HttpSettings } from './environment.js';
import type { RequestHead } from './message.js';
import { createStack, type Stack } from './stack.js';
import type { DownstreamStream } from './streams.js';

/** Stands in logs and metrics for a request that could not be read. */
const unreadable = {
  method: '-',
  path: '-',
  authority: '',
  scheme: 'http',
  headers: [],
  framing: 'none',
  contentLength: -1,
  headBytes: 0,
} satisfies Omit<RequestHead, 'version'>;

/** A connection that nobody handles. */
function denied(socket: Socket): Handled {
  socket.destroy();
  return { isIdle: true, drain: () => undefined, destroy: () => undefined };
}

/** A connection that turns out to be something else by its first bytes. */
class Replaceable implements Handled {
  current: Handled | undefined;

  get isIdle(): boolean {
    return this.current!.isIdle;
  }

  drain(): void {
    this.current!.drain();
  }

  destroy(): void {
    this.current!.destroy();
  }
}

export class HttpFilter implements NetworkFilter {
  #settings: HttpSettings;
  readonly #environment: HttpEnvironment;
  #stack: Stack;

  constructor(settings: HttpSettings, environment: HttpEnvironment) {
    this.#settings = settings;
    this.#environment = environment;
    this.#stack = createStack(settings);
  }

  takePolicies(other: NetworkFilter): boolean {
    if (!(other instanceof HttpFilter)) return false;
    const { policies, connectionPolicies } = other.#settings;
    this.#settings = { ...this.#settings, policies, connectionPolicies };
    this.#stack = createStack(this.#settings);
    return true;
  }

  handle(socket: Socket, first: Buffer | undefined, info: ConnectionInfo, onClose: () => void): Handled {
    const denial = this.#settings.connectionPolicies?.findDenial(info, undefined);
    if (denial !== undefined) {
      countDenial(this.#environment, denial, 'tcp');
      socket.once('close', onClose);
      return denied(socket);
    }
    const createExchange = (stream: DownstreamStream | undefined, head: RequestHead) =>
      new Exchange(this.#stack, this.#settings, this.#environment, info, stream as DownstreamStream, head);
    const handler: RequestHandler = {
      limits: this.#settings.limits,
      createExchange,
      onMalformed: (status, _reason, version) =>
        createExchange(undefined, { ...unreadable, version }).onDownstreamGone(status),
    };
    if (this.#settings.codec === 'http2' || isHttp2Protocol(info.protocol))
      return this.#startHttp2(socket, first, info, handler, onClose);
    const begins = new Replaceable();
    const onHttp2 = (bytes: Buffer): void => {
      begins.current = this.#startHttp2(socket, bytes, info, handler, onClose);
    };
    const { codec } = this.#settings;
    const connection = new Http1ServerConnection(
      socket,
      handler,
      info.reset,
      onClose,
      codec === 'auto' ? onHttp2 : undefined,
    );
    begins.current = connection;
    connection.start(first);
    return begins;
  }

  #startHttp2(
    socket: Socket,
    first: Buffer | undefined,
    { protocol }: ConnectionInfo,
    handler: RequestHandler,
    onClose: () => void,
  ): Handled {
    const connection = new Http2ServerConnection(socket, handler, {
      limits: this.#settings.http2,
      carries: protocol === multiplexProtocol,
      onClose,
    });
    connection.start(first);
    return connection;
  }
}
