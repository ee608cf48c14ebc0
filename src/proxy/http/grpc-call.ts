// What is known of a request because it is gRPC's: its messages, its deadline, and how it ended.
import type { MessageSeries } from '../../telemetry/series.js';
import { GrpcMessageCounter } from './grpc-messages.js';
import { findGrpcStatus, grpcStatusOf, httpStatusOf, isGrpc } from './grpc-status.js';
import { findHeader, type Headers, type ResponseHead } from './message.js';

export class GrpcCall {
  /** Time from the end of the request within which the call must be over; 0: any; undefined: the route alone decides. */
  timeoutMs: number | undefined;
  /** Whether that time is the caller's and not the route's. */
  isCallersTimeout = false;
  responseTrailers: Headers | undefined;
  /** Whether the answer waits for a caller who does not read. */
  isHeldUp = false;
  readonly #requests = new GrpcMessageCounter();
  readonly #responses = new GrpcMessageCounter();
  /** Messages that are not in a series yet. */
  #sent = 0;
  #received = 0;
  #series: MessageSeries | undefined;

  onRequestBody(chunk: Buffer): void {
    const begun = this.#requests.count(chunk);
    if (this.#series === undefined) this.#sent += begun;
    else if (begun > 0) this.#series.requests.add(0, begun);
  }

  onResponseBody(chunk: Buffer): void {
    const begun = this.#responses.count(chunk);
    if (this.#series === undefined) this.#received += begun;
    else if (begun > 0) this.#series.responses.add(0, begun);
  }

  /** Counts where the parties of the call are known: from here on as messages pass, so that a stream shows while it lasts. */
  countIn(series: MessageSeries): void {
    if (this.#series !== undefined) return;
    this.#series = series;
    series.requests.add(0, this.#sent);
    series.responses.add(0, this.#received);
  }

  /** Whether a status of ours can follow what has been passed on: it cuts no message off and waits for nobody. */
  canEnd({ status, contentLength }: ResponseHead): boolean {
    return status === 200 && contentLength < 0 && !this.isHeldUp && this.#responses.isBetweenMessages;
  }

  /** The status that the server sent, in trailers or else in headers. */
  toldStatusOf(response: ResponseHead | undefined): number | undefined {
    return findGrpcStatus(this.responseTrailers ?? []) ?? findGrpcStatus(response?.headers ?? []);
  }

  /** Where none was sent, what HTTP's status stands for, as in Envoy (`getGrpcStatus`); undefined without an answer. */
  statusOf(response: ResponseHead | undefined): number | undefined {
    return this.toldStatusOf(response) ?? (response === undefined ? undefined : grpcStatusOf(response.status));
  }

  /** `grpc-message` of the answer, as it was sent. */
  messageOf(response: ResponseHead | undefined): string | undefined {
    return (
      findHeader(this.responseTrailers ?? [], 'grpc-message') ?? findHeader(response?.headers ?? [], 'grpc-message')
    );
  }
}

/** Undefined for what is not gRPC's. */
export function findGrpcCall(request: Headers): GrpcCall | undefined {
  return isGrpc(request) ? new GrpcCall() : undefined;
}

/**
 * The status by which an endpoint is judged: that of gRPC where the headers have one (Envoy's router; a status in trailers comes
 * too late for it).
 */
export function healthStatusOf(call: GrpcCall | undefined, head: ResponseHead): number {
  const status = call === undefined ? undefined : findGrpcStatus(head.headers);
  return status === undefined ? head.status : httpStatusOf(status);
}
