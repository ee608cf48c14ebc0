// One gRPC call on a connection to the server, as the request of an HTTP/2 stream (gRPC over HTTP/2, Requests and Responses).
import { grpcCodes } from '../../util/grpc-codes.js';
import type { GrpcCall, GrpcEvents, GrpcMethod, GrpcOptions } from '../../util/grpc-channel.js';
import { messageOf } from '../../util/errors.js';
import { findGrpcStatus, grpcStatusOf } from '../http/grpc-status.js';
import { findHeader, type Headers, type RequestHead, type ResponseHead } from '../http/message.js';
import type { UpstreamEvents, UpstreamFailure, UpstreamStream } from '../http/streams.js';
import { frameMessage, MessageReader } from './message-reader.js';

/** Bytes that are kept before there is a stream, until whoever writes is asked to wait. */
const mostWaitingBytes = 64 * 1024;

export class OutgoingCall<Request, Response> implements GrpcCall<Request>, UpstreamEvents {
  readonly request: RequestHead;
  readonly #method: GrpcMethod<Request, Response>;
  readonly #events: GrpcEvents<Response>;
  readonly #reader = new MessageReader();
  readonly #timer: NodeJS.Timeout | undefined;
  #stream: UpstreamStream | undefined;
  /** What was sent before there was a stream. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #isEnded = false;
  #isOver = false;

  constructor(
    method: GrpcMethod<Request, Response>,
    events: GrpcEvents<Response>,
    { headers = [], timeoutMs }: GrpcOptions,
  ) {
    this.#method = method;
    this.#events = events;
    this.request = {
      method: 'POST',
      path: method.path,
      authority: 'localhost',
      scheme: 'http',
      version: 'HTTP/2',
      headers: [
        'content-type',
        'application/grpc',
        ...headers,
        ...(timeoutMs === undefined ? [] : ['grpc-timeout', `${Math.ceil(timeoutMs)}m`]),
      ],
      framing: 'chunked',
      contentLength: -1,
      headBytes: 0,
      acceptsTrailers: true,
    };
    if (timeoutMs !== undefined)
      this.#timer = setTimeout(
        () => this.#fail(grpcCodes.DEADLINE_EXCEEDED, `no answer within ${timeoutMs} ms`),
        timeoutMs,
      );
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  // ---- from the caller

  write(message: Request): boolean {
    if (this.#isOver || this.#isEnded) return true;
    const framed = frameMessage(this.#method.requestSerialize(message));
    if (this.#stream !== undefined) return this.#stream.sendBody(framed);
    this.#waiting.push(framed);
    this.#waitingBytes += framed.length;
    return this.#waitingBytes < mostWaitingBytes;
  }

  end(): void {
    this.#isEnded = true;
    this.#stream?.sendEnd(undefined);
  }

  cancel(): void {
    this.#finish();
  }

  /** Nobody can be called. */
  refuse(reason: string): void {
    this.#fail(grpcCodes.UNAVAILABLE, reason);
  }

  // ---- from the connection

  onUpstreamReady(stream: UpstreamStream): void {
    this.#stream = stream;
    const hasRoom = this.#waiting.map((framed) => stream.sendBody(framed)).every(Boolean);
    this.#waiting = [];
    if (this.#isEnded) stream.sendEnd(undefined);
    else if (hasRoom && this.#waitingBytes >= mostWaitingBytes) this.#events.onDrain?.();
  }

  onInformational(): void {
    // gRPC has none
  }

  onUpgraded(): void {
    // it asks for no other protocol
  }

  onResponseHead(head: ResponseHead, endsHere: boolean): void {
    if (head.status !== 200) this.#fail(grpcStatusOf(head.status), `the server answered with status ${head.status}`);
    else if (endsHere) this.#onStatus(head.headers);
  }

  onResponseBody(chunk: Buffer): void {
    for (const message of this.#decode(Buffer.from(chunk))) if (!this.#isOver) this.#events.onMessage(message);
  }

  #decode(chunk: Buffer): readonly Response[] {
    try {
      return this.#reader.read(chunk).map((bytes) => this.#method.responseDeserialize(bytes));
    } catch (error) {
      this.#fail(grpcCodes.INTERNAL, `an answer cannot be read: ${messageOf(error)}`);
      return [];
    }
  }

  onResponseEnd(trailers: Headers | undefined): void {
    this.#onStatus(trailers ?? []);
  }

  onUpstreamFailure(failure: UpstreamFailure): void {
    // What threw is whoever was told of a message, for whom no request can be blamed.
    if (failure.kind === 'internal') throw failure.error;
    this.#fail(grpcCodes.UNAVAILABLE, 'reason' in failure ? failure.reason : `the connection is ${failure.kind}`);
  }

  onUpstreamDrain(): void {
    this.#events.onDrain?.();
  }

  // ---- the end

  #onStatus(fields: Headers): void {
    const code = findGrpcStatus(fields);
    if (code === grpcCodes.OK && this.#reader.isBetweenMessages) {
      if (this.#finish()) this.#events.onEnd(undefined);
    } else if (code === undefined || code <= 0) this.#fail(grpcCodes.INTERNAL, 'the answer was broken off');
    else this.#fail(code, decodeGrpcMessage(findHeader(fields, 'grpc-message') ?? ''));
  }

  #fail(code: number, details: string): void {
    if (this.#finish()) this.#events.onEnd({ code, details });
  }

  /** @returns whether it was not over before */
  #finish(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#stream?.cancel();
    this.#waiting = [];
    return true;
  }
}

/** The text of a status, from its percent-encoding; as it stands where that is broken. */
function decodeGrpcMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
