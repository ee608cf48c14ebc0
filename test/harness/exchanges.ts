// Stand-ins for what the codec serves: takers of requests and of answers that note what they are told, in the hands of a test.
import type { RequestHead, ResponseHead } from '../../src/proxy/http/message.js';
import type { RequestHandler, ServerLimits } from '../../src/proxy/http/request-handler.js';
import type {
  DownstreamEvents,
  DownstreamStream,
  Tunnel,
  UpstreamEvents,
  UpstreamFailure,
  UpstreamStream,
} from '../../src/proxy/http/streams.js';

/** A request as a server sees it. */
export class TakenRequest implements DownstreamEvents {
  readonly stream: DownstreamStream;
  readonly head: RequestHead;
  /** Events in the order in which they came, but for the body. */
  readonly events: string[] = [];
  body = '';
  readonly #onBegin: (request: TakenRequest) => void;
  onBody: () => void = () => undefined;

  constructor(stream: DownstreamStream, head: RequestHead, onBegin: (request: TakenRequest) => void) {
    this.stream = stream;
    this.head = head;
    this.#onBegin = onBegin;
  }

  begin(): void {
    this.#onBegin(this);
  }

  /** Answers with a body of which the length is known. */
  answer(status = 200, body = '', headers: string[] = []): void {
    this.stream.sendHead(responseHead(status, headers, body.length), body === '');
    if (body === '') return;
    this.stream.sendBody(Buffer.from(body));
    this.stream.sendEnd(undefined);
  }

  onRequestBody(chunk: Buffer): void {
    this.body += chunk.toString('latin1');
    this.onBody();
  }

  onRequestEnd(trailers?: string[]): void {
    this.events.push(`end${trailers === undefined ? '' : ` ${trailers.join('=')}`}`);
  }

  onDownstreamGone(): void {
    this.events.push('gone');
  }

  onDownstreamDrain(): void {
    this.events.push('drain');
  }

  onStreamIdle(): void {
    this.events.push('idle');
  }

  onInternalError(error: unknown): void {
    this.events.push(`error ${String(error)}`);
  }
}

export function responseHead(status = 200, headers: string[] = [], contentLength = -1): ResponseHead {
  const framing = contentLength < 0 ? 'chunked' : contentLength === 0 ? 'none' : 'length';
  return { status, headers, framing, contentLength, headBytes: 0 };
}

export function requestHead(request: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'GET',
    path: '/',
    authority: 'shop',
    scheme: 'http',
    version: 'HTTP/1.1',
    headers: [],
    framing: 'none',
    contentLength: -1,
    headBytes: 0,
    ...request,
  };
}

/** Takes whatever requests come. */
export class Taker implements RequestHandler {
  readonly taken: TakenRequest[] = [];
  readonly malformed: string[] = [];
  readonly limits: ServerLimits;
  /** What is done with a request when it begins. */
  onRequest: (request: TakenRequest) => void = () => undefined;

  constructor(limits: Partial<ServerLimits> = {}) {
    this.limits = {
      bytes: 4000,
      fields: 20,
      headTimeoutMs: 15_000,
      idleTimeoutMs: 60_000,
      streamIdleTimeoutMs: 30_000,
      ...limits,
    };
  }

  createExchange(stream: DownstreamStream, head: RequestHead): TakenRequest {
    const request = new TakenRequest(stream, head, (begun) => this.onRequest(begun));
    this.taken.push(request);
    return request;
  }

  onMalformed(status: number, reason: string): void {
    this.malformed.push(`${status} ${reason}`);
  }
}

/** A request as a client sees it: what came of it. */
export class SentRequest implements UpstreamEvents {
  readonly request: RequestHead;
  /** Events in the order in which they came, but for the body. */
  readonly events: string[] = [];
  body = '';
  head: ResponseHead | undefined;
  stream: UpstreamStream | undefined;
  tunnel: Tunnel | undefined;
  failure: UpstreamFailure | undefined;
  onReady: (stream: UpstreamStream) => void;
  onBody: () => void = () => undefined;

  /** @param onReady what is sent once there is a stream; the end by itself where the head is all */
  constructor(request: Partial<RequestHead> = {}, onReady?: (stream: UpstreamStream) => void) {
    this.request = requestHead(request);
    this.onReady = onReady ?? ((stream) => this.request.framing === 'none' && stream.sendEnd(undefined));
  }

  onUpstreamReady(stream: UpstreamStream): void {
    this.stream = stream;
    this.onReady(stream);
  }

  onInformational({ status }: ResponseHead): void {
    this.events.push(`interim ${status}`);
  }

  onUpgraded(head: ResponseHead, tunnel: Tunnel): void {
    this.head = head;
    this.tunnel = tunnel;
    this.events.push(`upgraded ${head.status} ${head.upgrade}`);
  }

  onResponseHead(head: ResponseHead, endsHere: boolean): void {
    this.head = head;
    this.events.push(`head ${head.status}${endsHere ? ' end' : ''}`);
  }

  onResponseBody(chunk: Buffer): void {
    this.body += chunk.toString('latin1');
    this.onBody();
  }

  onResponseEnd(trailers?: string[]): void {
    this.events.push(`end${trailers === undefined ? '' : ` ${trailers.join('=')}`}`);
  }

  onUpstreamFailure(failure: UpstreamFailure): void {
    this.failure = failure;
    this.events.push(`failure ${failure.kind}`);
  }

  onUpstreamDrain(): void {
    this.events.push('drain');
  }
}
