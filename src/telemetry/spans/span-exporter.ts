// Posts spans to a Zipkin collector in batches, never in the way of traffic: what the collector does not take in time is
// dropped and counted.
import http from 'node:http';
import { messageOf } from '../../util/errors.js';

export interface SpanExporterOptions {
  /** Where the collector listens now; undefined where that is not known. */
  readonly findCollector: () => { readonly address: string; readonly port: number } | undefined;
  /** Path of the collector's API, such as /api/v2/spans. */
  readonly path: string;
  /** Host header of the posts. */
  readonly hostname: string;
  readonly onSent: (spans: number) => void;
  readonly onDropped: (spans: number) => void;
  /** Told once when posting begins to fail. */
  readonly onFailing: (reason: string) => void;
  /** How long spans wait for company. */
  readonly intervalMs?: number;
  /** After this the collector counts as too slow: Envoy's default of 5 s. */
  readonly timeoutMs?: number;
}

/** So many spans are not kept waiting. */
export const batchSpans = 100;
/** Most spans and characters that wait; what is under way comes on top. */
export const mostWaitingSpans = 4000;
export const mostWaitingText = 4 * 1024 * 1024;
/** Most spans of one post. */
export const mostPostedSpans = 1000;

export class SpanExporter {
  readonly #options: SpanExporterOptions;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  #waiting: string[] = [];
  #waitingText = 0;
  #timer: NodeJS.Timeout | undefined;
  #request: http.ClientRequest | undefined;
  #isFailing = false;
  #whenIdle: (() => void)[] = [];

  constructor(options: SpanExporterOptions) {
    this.#options = options;
  }

  /** Takes one span as `encodeSpan` writes it. */
  report(span: string): void {
    if (this.#waiting.length >= mostWaitingSpans || this.#waitingText + span.length > mostWaitingText) {
      this.#options.onDropped(1);
      return;
    }
    this.#waiting.push(span);
    this.#waitingText += span.length;
    if (this.#request !== undefined) return; // its end looks here again
    this.#schedule();
  }

  /** Posts what waits; resolves when it is sent or dropped, or `withinMs` have passed. */
  async flush(withinMs: number): Promise<void> {
    if (this.#request === undefined) this.#post();
    if (this.#request === undefined) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs);
      this.#whenIdle.push(resolve);
    });
    clearTimeout(timer);
  }

  /** Gives up what was not sent. */
  close(): void {
    clearTimeout(this.#timer);
    this.#options.onDropped(this.#waiting.length);
    this.#waiting = [];
    this.#waitingText = 0;
    this.#request?.destroy(new Error('the proxy ended'));
    this.#agent.destroy();
  }

  #post(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length === 0) return;
    const spans = this.#waiting.splice(0, mostPostedSpans);
    for (const span of spans) this.#waitingText -= span.length;
    this.#send(spans, Buffer.from(`[${spans.join(',')}]`), true);
  }

  #send(spans: readonly string[], body: Buffer, mayRetry: boolean): void {
    const collector = this.#options.findCollector();
    if (collector === undefined) {
      this.#finish(spans.length, 'the collector has no address');
      return;
    }
    const request = http.request({
      agent: this.#agent,
      host: collector.address,
      port: collector.port,
      method: 'POST',
      path: this.#options.path,
      headers: {
        host: this.#options.hostname,
        'content-type': 'application/json',
        'content-length': body.length,
      },
    });
    this.#request = request;
    const { timeoutMs = 5000 } = this.#options;
    const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs).unref();
    let isDone = false;
    const finish = (problem: string | undefined) => {
      if (isDone) return;
      isDone = true;
      clearTimeout(timer);
      this.#finish(spans.length, problem);
    };
    request.on('error', (error: NodeJS.ErrnoException) => {
      // The collector may have closed a connection that lay idle in the very moment of its next use.
      if (mayRetry && !isDone && request.reusedSocket && error.code === 'ECONNRESET') {
        isDone = true;
        clearTimeout(timer);
        this.#send(spans, body, false);
      } else finish(messageOf(error));
    });
    request.on('response', (response) => {
      const { statusCode = 0 } = response;
      const problem = statusCode >= 200 && statusCode < 300 ? undefined : `the collector answered with ${statusCode}`;
      response.resume();
      response.on('error', () => finish(problem));
      response.on('close', () => finish(problem));
    });
    request.end(body);
  }

  #finish(spans: number, problem: string | undefined): void {
    const { onSent, onDropped, onFailing } = this.#options;
    this.#request = undefined;
    if (problem === undefined) onSent(spans);
    else {
      onDropped(spans);
      if (!this.#isFailing) onFailing(problem);
    }
    this.#isFailing = problem !== undefined;
    // Whoever waits for the end waits for everything.
    if (this.#whenIdle.length > 0) this.#post();
    else this.#schedule();
    if (this.#request !== undefined) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** A full batch goes at once, but to a collector that just failed everything goes in its own time. */
  #schedule(): void {
    if (this.#waiting.length >= batchSpans && !this.#isFailing) this.#post();
    else if (this.#waiting.length > 0)
      this.#timer ??= setTimeout(() => this.#post(), this.#options.intervalMs ?? 1000).unref();
  }
}
