// The HTTP/2 server in Python that answers as it is told, right or wrong, and what it saw.
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { script, startTool } from './peers.js';
import type { FrameStep } from './frame-steps.js';

export interface ServerEvent {
  readonly event: 'connection' | 'request' | 'reset' | 'end' | 'not HTTP/2';
  readonly connection: number;
  readonly stream?: number;
  readonly path?: string;
  /** Fields of a request. */
  readonly head?: Readonly<Record<string, string>>;
  /** Of a reset by the proxy. */
  readonly code?: string;
  /** How a connection ended. */
  readonly how?: string;
  readonly goaways?: readonly (readonly [code: string, last: number, debug: string])[];
}

export interface ServerOrder {
  /** By path: what is done for the first request, the second and so on; the last again and again. */
  readonly scripts: Readonly<Record<string, readonly (readonly FrameStep[])[]>>;
  readonly default: readonly FrameStep[];
  readonly settings?: readonly (readonly [id: number, value: number])[];
  /** False: SETTINGS and PING are not acknowledged. */
  readonly acknowledges?: boolean;
}

export class HostileServer {
  readonly events: ServerEvent[] = [];
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(order: ServerOrder): Promise<HostileServer> {
    const child = startTool('python3', [script('server.py')]);
    child.stdin!.write(`${JSON.stringify(order)}\n`);
    const lines = createInterface({ input: child.stdout! });
    const first = await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve);
      child.once('exit', (code) => reject(new Error(`server.py ended with ${code}`)));
    });
    const server = new HostileServer(child, (JSON.parse(first) as { port: number }).port);
    lines.on('line', (line) => server.events.push(JSON.parse(line) as ServerEvent));
    return server;
  }

  /** Requests for a path, in order. */
  requests(path: string): ServerEvent[] {
    return this.events.filter((event) => event.event === 'request' && event.path === path);
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}
