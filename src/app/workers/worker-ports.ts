// Ports as a worker sees them: servers that look like Node's own, for connections that the data plane's first process accepts.
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { ConnectionServer } from '../../proxy/net/connection-server.js';
import type { PortAnswer, PortRequest } from './worker-messages.js';

export class WorkerPorts {
  readonly #send: (message: PortRequest) => void;
  readonly #servers = new Map<string, SharedServer>();

  constructor(send: (message: PortRequest) => void) {
    this.#send = send;
  }

  createServer(): ConnectionServer {
    return new SharedServer(this.#send, this.#servers);
  }

  receive(message: PortAnswer, socket: Socket | undefined): void {
    const server = this.#servers.get(message.place);
    switch (message.kind) {
      case 'listening':
        server?.opened();
        break;
      case 'port failed':
        server?.failed(message.reason);
        break;
      case 'dropped':
        server?.emit('drop');
        break;
      case 'connection':
        if (server?.listening === true && socket !== undefined) {
          this.#send({ kind: 'taken', id: message.id });
          server.take(socket);
        } else {
          this.#send({ kind: 'declined', id: message.id });
          socket?.destroy(); // only this descriptor of it
        }
        break;
    }
  }
}

class SharedServer extends EventEmitter implements ConnectionServer {
  readonly #send: (message: PortRequest) => void;
  readonly #servers: Map<string, SharedServer>;
  #place = '';
  #listening = false;

  constructor(send: (message: PortRequest) => void, servers: Map<string, SharedServer>) {
    super();
    this.#send = send;
    this.#servers = servers;
  }

  get listening(): boolean {
    return this.#listening;
  }

  listen({ host, port }: { readonly host: string; readonly port: number }, onListening: () => void): void {
    this.once('listening', onListening);
    const place = `${host} ${port}`;
    if (this.#servers.has(place)) {
      setImmediate(() => this.emit('error', new Error(`listen EADDRINUSE: address already in use ${host}:${port}`)));
      return;
    }
    this.#place = place;
    this.#servers.set(place, this);
    this.#send({ kind: 'listen', place, host, port });
  }

  close(): void {
    this.#listening = false;
    if (this.#servers.get(this.#place) !== this) return;
    this.#servers.delete(this.#place);
    this.#send({ kind: 'stop listening', place: this.#place });
  }

  opened(): void {
    this.#listening = true;
    this.emit('listening');
  }

  failed(reason: string): void {
    if (!this.#listening) this.#servers.delete(this.#place);
    this.emit('error', new Error(reason));
  }

  take(socket: Socket): void {
    socket.allowHalfOpen = true;
    socket.setNoDelay(true);
    this.emit('connection', socket);
  }
}
