// A Zipkin collector for tests: records what is posted to it, or refuses as it is told.
import http from 'node:http';
import type { AddressInfo } from 'node:net';

/** A span as it was posted. */
export interface PostedSpan {
  readonly traceId: string;
  readonly id: string;
  readonly parentId?: string;
  readonly kind: string;
  readonly name: string;
  readonly timestamp: number;
  readonly duration: number;
  readonly debug?: boolean;
  readonly localEndpoint: { readonly serviceName: string; readonly ipv4?: string };
  readonly tags: Readonly<Record<string, string>>;
}

export interface Post {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly spans: readonly PostedSpan[];
}

export class SpanCollector {
  readonly posts: Post[] = [];
  /** Status of its answers; undefined: it does not answer. */
  status: number | undefined = 202;
  /** Connections that it has taken. */
  connections = 0;
  readonly #server: http.Server;
  #held: http.ServerResponse[] = [];
  #watchers: (() => void)[] = [];
  #resets = false;

  private constructor() {
    this.#server = http.createServer((request, response) => {
      if (this.#resets) {
        this.#resets = false;
        request.socket.resetAndDestroy();
        return;
      }
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method, url, headers } = request;
        this.posts.push({ method, url, headers, spans: JSON.parse(Buffer.concat(chunks).toString()) as PostedSpan[] });
        if (this.status === undefined) this.#held.push(response);
        else response.writeHead(this.status).end();
        for (const watcher of this.#watchers.splice(0)) watcher();
      });
    });
    this.#server.on('connection', () => this.connections++);
  }

  static async start(): Promise<SpanCollector> {
    const collector = new SpanCollector();
    await new Promise<void>((resolve) => collector.#server.listen(0, '127.0.0.1', resolve));
    return collector;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get spans(): PostedSpan[] {
    return this.posts.flatMap(({ spans }) => spans);
  }

  /** Breaks the connection of the next post off. */
  resetNext(): void {
    this.#resets = true;
  }

  /** Resolves at the next post. */
  nextPost(): Promise<void> {
    return new Promise((resolve) => this.#watchers.push(resolve));
  }

  /** Answers what it held back. */
  release(status: number): void {
    this.status = status;
    for (const response of this.#held.splice(0)) response.writeHead(status).end();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
