// Ports that workers share: they are opened here, and each connection is handed to a worker before anybody has read of it.
// `node:cluster` does the same, but loses sight of a connection that is on its way to a worker when that dies: it stays open for
// ever and nobody answers.
import net, { type Server, type Socket } from 'node:net';
import { ConnectionLimit } from '../../proxy/net/connection-limit.js';
import type { PortAnswer, PortRequest } from './worker-messages.js';

const backlog = 1024;

interface SharedPort {
  readonly place: string;
  readonly server: Server;
  /** Workers that listen here, the one first whose turn is next. */
  readonly workers: number[];
}

/** A connection on its way to a worker. */
interface Handed {
  readonly socket: Socket;
  readonly port: SharedPort;
  readonly worker: number;
}

export class SharedPorts {
  readonly #send: (worker: number, message: PortAnswer, socket?: Socket) => void;
  readonly #ports = new Map<string, SharedPort>();
  readonly #handed = new Map<number, Handed>();
  /** How many connections are on their way to each worker. */
  readonly #waiting = new Map<number, number>();
  readonly #limit = new ConnectionLimit(undefined, undefined, 1);
  #lastId = 0;

  /** @param send tells a worker something; a socket that goes with it must stay open here */
  constructor(send: (worker: number, message: PortAnswer, socket?: Socket) => void) {
    this.#send = send;
  }

  receive(worker: number, message: PortRequest): void {
    switch (message.kind) {
      case 'listen':
        this.#open(worker, message.place, message.host, message.port);
        break;
      case 'stop listening':
        this.#leave(worker, this.#ports.get(message.place));
        break;
      case 'taken':
        this.#release(message.id)?.socket.destroy(); // ours is a second descriptor, the connection goes on
        break;
      case 'declined':
        this.#handAgain(message.id);
        break;
    }
  }

  /** A worker is gone: what was on its way to it goes to another. */
  remove(worker: number): void {
    for (const port of this.#ports.values()) this.#leave(worker, port);
    for (const [id, handed] of this.#handed) if (handed.worker === worker) this.#handAgain(id);
  }

  #open(worker: number, place: string, host: string, port: number): void {
    const existing = this.#ports.get(place);
    if (existing !== undefined) {
      existing.workers.push(worker);
      if (existing.server.listening) this.#send(worker, { kind: 'listening', place });
      return;
    }
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
    const opened: SharedPort = { place, server, workers: [worker] };
    this.#ports.set(place, opened);
    server.on('connection', (socket) => {
      socket.on('error', () => undefined); // whoever takes it sees for itself
      if (this.#limit.take(socket)) this.#hand(socket, opened);
      else this.#drop(socket, opened);
    });
    server.on('error', ({ message }) => this.#fail(opened, message));
    server.listen({ host, port, backlog }, () => {
      this.#limit.measure();
      for (const member of opened.workers) this.#send(member, { kind: 'listening', place });
    });
  }

  /** One worker counts it. */
  #drop(socket: Socket, { workers, place }: SharedPort): void {
    socket.resetAndDestroy();
    if (workers[0] !== undefined) this.#send(workers[0], { kind: 'dropped', place });
  }

  #fail(port: SharedPort, reason: string): void {
    const { place, server, workers } = port;
    // Where it listens one connection could not be accepted, as with too many open files: one worker counts it.
    for (const worker of server.listening ? workers.slice(0, 1) : workers)
      this.#send(worker, { kind: 'port failed', place, reason });
    if (!server.listening && this.#ports.get(place) === port) this.#ports.delete(place);
  }

  #leave(worker: number, port: SharedPort | undefined): void {
    const at = port?.workers.indexOf(worker) ?? -1;
    if (port === undefined || at < 0) return;
    port.workers.splice(at, 1);
    if (port.workers.length > 0) return;
    this.#ports.delete(port.place);
    port.server.close();
  }

  /** Workers take turns; one that is slow to take the last gets none until the others are as far behind. */
  #hand(socket: Socket, port: SharedPort): void {
    const { workers, place } = port;
    const least = Math.min(...workers.map((worker) => this.#waiting.get(worker) ?? 0));
    const at = workers.findIndex((worker) => (this.#waiting.get(worker) ?? 0) === least);
    if (at < 0) {
      socket.resetAndDestroy();
      return;
    }
    const [worker] = workers.splice(at, 1) as [number];
    workers.push(worker);
    const id = ++this.#lastId;
    this.#handed.set(id, { socket, port, worker });
    this.#waiting.set(worker, least + 1);
    this.#send(worker, { kind: 'connection', place, id }, socket);
  }

  #handAgain(id: number): void {
    const handed = this.#release(id);
    if (handed !== undefined) this.#hand(handed.socket, handed.port);
  }

  #release(id: number): Handed | undefined {
    const handed = this.#handed.get(id);
    if (handed === undefined) return undefined;
    this.#handed.delete(id);
    this.#waiting.set(handed.worker, this.#waiting.get(handed.worker)! - 1);
    return handed;
  }
}
