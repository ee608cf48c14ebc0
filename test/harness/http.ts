// A plain HTTP client for tests: no retries, no proxies, every outcome visible.
import http from 'node:http';
import net from 'node:net';

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly trailers: NodeJS.Dict<string>;
}

export interface RequestOptions {
  readonly port: number;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Buffer;
  readonly agent?: http.Agent;
  readonly timeoutMs?: number;
}

/** Sends one request to a loopback port. */
export function request({
  port,
  path = '/',
  method = 'GET',
  headers = {},
  body,
  agent,
  timeoutMs = 30_000,
}: RequestOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request(
      {
        host: '127.0.0.1',
        port,
        path,
        method,
        headers: headers as http.OutgoingHttpHeaders,
        ...(agent === undefined ? { agent: false } : { agent }),
        timeout: timeoutMs,
        maxHeaderSize: 1024 * 1024,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('aborted', () => reject(new Error('the response was cut off')));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            rawHeaders: response.rawHeaders,
            body: Buffer.concat(chunks).toString(),
            trailers: response.trailers,
          }),
        );
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** The answer of the echo application. */
export interface Echo {
  readonly name: string;
  readonly method: string;
  readonly url: string;
  readonly version: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export async function requestEcho(options: RequestOptions): Promise<Echo> {
  const answer = await request(options);
  if (answer.status !== 200) throw new Error(`status ${answer.status}: ${answer.body}`);
  return JSON.parse(answer.body) as Echo;
}

/** Sends bytes as they are and collects everything until the other side ends the connection. */
export function exchangeRaw(
  port: number,
  bytes: string | Buffer,
  { halfClose = false, timeoutMs = 10_000 } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    const timer = setTimeout(
      () => socket.destroy(new Error(`the connection stayed open; received so far: ${received}`)),
      timeoutMs,
    );
    socket.on('connect', () => (halfClose ? socket.end(bytes) : socket.write(bytes)));
    socket.on('data', (chunk) => (received += chunk.toString('latin1')));
    socket.on('end', () => socket.end());
    socket.on('error', (error: Error & { code?: string }) => (error.code === 'ECONNRESET' ? undefined : reject(error)));
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(received);
    });
  });
}

export interface LoadResult {
  /** Answers by `status` or, without one, by what went wrong. */
  readonly outcomes: Map<string, number>;
  readonly total: number;
}

/** Sends requests at a steady rate over keep-alive connections until stopped; every outcome is counted. */
export class SteadyLoad {
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  readonly #outcomes = new Map<string, number>();
  readonly #pending = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  #due = 0;
  #sent = 0;

  /** @param next what to send next */
  constructor(
    perSecond: number,
    next: (i: number) => RequestOptions,
    outcomeOf: (answer: Answer, i: number) => string = ({ status }) => String(status),
  ) {
    const started = performance.now();
    this.#timer = setInterval(() => {
      this.#due = Math.floor(((performance.now() - started) / 1000) * perSecond);
      for (; this.#sent < this.#due; this.#sent++) {
        const i = this.#sent;
        this.#send({ ...next(i), agent: this.#agent }, (answer) => outcomeOf(answer, i));
      }
    }, 5);
  }

  #send(options: RequestOptions, outcomeOf: (answer: Answer) => string): void {
    const done = request(options).then(
      (answer) => this.#count(outcomeOf(answer)),
      (error: Error) => this.#count(error.message),
    );
    this.#pending.add(done);
    void done.finally(() => this.#pending.delete(done));
  }

  #count(outcome: string): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
  }

  /** Outcomes so far. */
  get outcomes(): ReadonlyMap<string, number> {
    return this.#outcomes;
  }

  async stop(): Promise<LoadResult> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
    this.#agent.destroy();
    return { outcomes: this.#outcomes, total: [...this.#outcomes.values()].reduce((sum, count) => sum + count, 0) };
  }
}
