// A server that writes down every byte it gets and answers as the test says: what stands behind a proxy that is judged.
import net, { type AddressInfo, type Socket } from 'node:net';
import { readRequests, type WireMessage } from './wire.js';
import { playSteps, type Step } from './steps.js';

/** One connection that the proxy opened. */
export interface Recorded {
  bytes: string;
  /** How the proxy ended it, once it has. */
  end: 'fin' | 'reset' | undefined;
  /** Bytes of answers that the proxy has not taken yet. */
  readonly unsent: () => number;
}

/** How the server answers one path. */
export interface Script {
  readonly steps: readonly Step[];
  /** Answers as soon as the head is there, and reads the rest of the request all the same. */
  readonly early?: boolean;
}

/** Answers 200 with the path of the request as body, unless a script says otherwise. */
export class RecordingUpstream {
  readonly connections: Recorded[] = [];
  /** By path. */
  readonly scripts = new Map<string, Script>();
  readonly #server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#serve(socket));
  readonly #sockets = new Set<Socket>();

  static async start(): Promise<RecordingUpstream> {
    const upstream = new RecordingUpstream();
    await new Promise<void>((resolve) => upstream.#server.listen(0, '127.0.0.1', resolve));
    return upstream;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Where the recording stands now; `since` reads on from there. */
  mark(): ReadonlyMap<Recorded, number> {
    return new Map(this.connections.map((connection) => [connection, connection.bytes.length]));
  }

  /** What came since then: the requests of each connection, whole or not. */
  since(mark: ReadonlyMap<Recorded, number>): { request: WireMessage; connection: Recorded }[] {
    return this.connections.flatMap((connection) =>
      readRequests(connection.bytes, mark.get(connection) ?? 0).map((request) => ({ request, connection })),
    );
  }

  #serve(socket: Socket): void {
    const recorded: Recorded = { bytes: '', end: undefined, unsent: () => socket.writableLength };
    let answered = 0;
    let begun = -1;
    this.connections.push(recorded);
    this.#sockets.add(socket);
    socket.on('data', (chunk) => {
      recorded.bytes += chunk.toString('latin1');
      for (;;) {
        const [next] = readRequests(recorded.bytes, answered);
        if (next === undefined || !recorded.bytes.includes('\r\n\r\n', answered)) return;
        const script = this.scripts.get(next.line.split(' ')[1] ?? '');
        if (begun !== answered && (next.complete || script?.early === true)) {
          begun = answered;
          this.#answer(socket, next, script);
        }
        if (!next.complete) return;
        answered = next.end;
      }
    });
    socket.on('end', () => {
      recorded.end ??= 'fin';
      socket.end();
    });
    socket.on('error', () => (recorded.end = 'reset'));
    socket.on('close', () => {
      recorded.end ??= 'fin';
      this.#sockets.delete(socket);
    });
  }

  #answer(socket: Socket, { line }: WireMessage, script: Script | undefined): void {
    if (script !== undefined) {
      void playSteps(socket, script.steps);
      return;
    }
    const [method, path = ''] = line.split(' ');
    const body = method === 'HEAD' ? '' : path;
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${body}`, 'latin1');
  }
}
