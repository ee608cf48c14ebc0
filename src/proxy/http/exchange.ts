// One request and its answer on their way through the proxy: the state that the layers share, and the passing of bytes
// between the two connections with back-pressure both ways.
import type { AccessRecord } from '../../telemetry/access-log/record.js';
import type { Party } from '../../telemetry/istio-labels.js';
import type { Cluster } from '../cluster/cluster.js';
import type { Endpoint } from '../cluster/endpoint.js';
import type { RelayEnd } from '../tcp/relay.js';
import type { ConnectionInfo } from '../listener/connection-info.js';
import { endAttempt, recordResult } from './attempt.js';
import { answerFor, explainFailure, type Failure, type FailureAnswer } from './failures.js';
import type { HttpEnvironment, HttpSettings } from './environment.js';
import { findGrpcCall, healthStatusOf, type GrpcCall } from './grpc-call.js';
import { grpcStatusOf, pushGrpcStatus, tellGrpc } from './grpc-status.js';
import { findHeader, type Headers, type RequestHead, type ResponseHead } from './message.js';
import type { Mirror } from './mirror.js';
import type { HttpPool, PoolClient } from './pool.js';
import type { RetryState } from './layers/retry.js';
import type { CompiledRoute, Destination } from './route-table.js';
import type { Layer, Stack } from './stack.js';
import type { RequestTrace } from './tracing.js';
import type { DownstreamEvents, DownstreamStream, UpstreamFailure, UpstreamStream } from './streams.js';
import { joinTunnel } from './tunnel.js';

/** Request bytes that are held while there is nowhere to send them, or kept to be sent again. */
const mostHeldBytes = 64 * 1024;

export class Exchange implements DownstreamEvents, PoolClient, AccessRecord {
  readonly request: RequestHead;
  readonly connection: ConnectionInfo;
  readonly settings: HttpSettings;
  readonly environment: HttpEnvironment;
  readonly downstream: DownstreamStream;
  readonly #stack: Stack;
  /** Undefined where the request is not gRPC's. */
  readonly grpc: GrpcCall | undefined;

  // ---- decided by layers on the way in
  /** Path as it came, where a layer changed it. */
  originalPath: string | undefined;
  route: CompiledRoute | undefined;
  destination: Destination | undefined;
  cluster: Cluster | undefined;
  endpoint: Endpoint | undefined;
  pool: HttpPool | undefined;
  /** The other side of the upstream connection, once there is one. */
  peer: Party | undefined;
  timer: NodeJS.Timeout | undefined;
  tryTimer: NodeJS.Timeout | undefined;
  retries: RetryState | undefined;
  /** Why no further attempt was made, where one would have been (Envoy's flags URX and UO). */
  retryFlag: string | undefined;
  /** Whether the request is at `endpoint` now, or waits for a connection to it. */
  isAtEndpoint = false;
  resends = 0;
  /** Whether the body is kept after it was sent, as far as it is small. */
  keepsBody = false;
  /** Copies of the request that are sent elsewhere. */
  mirrors: Mirror[] | undefined;
  /** Runs while the request is kept back on purpose. */
  delayTimer: NodeJS.Timeout | undefined;
  wasDelayed = false;
  /** The origin that may read the answer. */
  allowedOrigin: string | undefined;
  trace: RequestTrace | undefined;

  // ---- what happened
  response: ResponseHead | undefined;
  readonly startTimeMs = Date.now();
  readonly startMs = performance.now();
  forwardedMs = 0;
  endMs = 0;
  responseFlags = '-';
  responseCodeDetails: string | undefined;
  upstreamTransportFailureReason: string | undefined;
  connectionTerminationDetails: string | undefined;
  bytesReceived = 0;
  bytesSent = 0;
  responseHeadBytes = 0;
  upstreamHost: string | undefined;
  upstreamLocalAddress: string | undefined;
  /** False for what continues elsewhere and is counted there. */
  isCounted = true;

  #upstream: UpstreamStream | undefined;
  /** The body, as far as it is not sent, or kept. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Whether a part of the body was sent and not kept. */
  #bodyLost = false;
  #requestEnded = false;
  #requestTrailers: Headers | undefined;
  #completed = false;

  constructor(
    stack: Stack,
    settings: HttpSettings,
    environment: HttpEnvironment,
    connection: ConnectionInfo,
    downstream: DownstreamStream,
    request: RequestHead,
  ) {
    this.#stack = stack;
    this.settings = settings;
    this.environment = environment;
    this.connection = connection;
    this.downstream = downstream;
    this.request = request;
    this.grpc = findGrpcCall(request.headers);
  }

  /** Passes the request through the layers, outermost first; the last one forwards it. */
  begin(): void {
    for (const layer of this.#stack.request) if (!layer.onRequest(this)) return;
  }

  /** Goes on behind a layer that kept the request back: it had returned false and answered nothing. */
  continueBehind(layer: Layer): void {
    if (this.#completed) return;
    const layers = this.#stack.request;
    for (let i = layers.findIndex((candidate) => candidate === layer) + 1; i < layers.length; i++)
      if (!layers[i]!.onRequest(this)) return;
    if (this.#requestEnded && !this.#completed) for (const inner of this.#stack.requestEnd) inner.onRequestEnd(this);
  }

  get isWaiting(): boolean {
    return !this.#completed;
  }

  get requestEnded(): boolean {
    return this.#requestEnded;
  }

  get requestTrailers(): Headers | undefined {
    return this.#requestTrailers;
  }

  /** Parts of the body that have arrived while there was nowhere to send them. */
  get heldBody(): readonly Buffer[] {
    return this.#held;
  }

  /** Whether the whole request could go to another endpoint without the caller noticing. */
  get canSendAgain(): boolean {
    return !this.#completed && !this.#bodyLost && this.response === undefined;
  }

  // ---- answers made here

  /**
   * Answers without an upstream. gRPC is told in its own way, as by Envoy: 200, with the status and the body's text in headers.
   * @param grpcStatus where it is another than `status` stands for
   */
  reply(status: number, headers: Headers, body: string | Uint8Array, grpcStatus?: number): void {
    if (this.#completed) return;
    if (this.grpc === undefined) this.#send(status, [...headers], Buffer.from(body));
    else {
      const told = [...headers];
      tellGrpc(told, grpcStatus ?? grpcStatusOf(status), body);
      this.#send(200, told, Buffer.alloc(0));
    }
  }

  #send(status: number, withBody: Headers, bytes: Buffer): void {
    if (bytes.length > 0 && findHeader(withBody, 'content-type') === undefined)
      withBody.push('content-type', 'text/plain');
    for (const layer of this.#stack.reply) layer.onReply(this, withBody);
    withBody.push('date', new Date().toUTCString(), 'server', 'lateen');
    this.response = {
      status,
      headers: withBody,
      framing: bytes.length === 0 ? 'none' : 'length',
      contentLength: bytes.length,
      headBytes: 0,
    };
    const endsHere = bytes.length === 0 || this.request.method === 'HEAD';
    this.responseHeadBytes = this.downstream.sendHead(this.response, endsHere);
    if (!endsHere) {
      this.bytesSent = bytes.length;
      this.downstream.sendBody(bytes);
      this.downstream.sendEnd(undefined);
    }
    this.complete();
  }

  /** Tells a failure: as an answer where none has begun, else by breaking the answer off. */
  fail(failure: Failure): void {
    if (failure.kind === 'internal') this.environment.onInternalError(failure.error);
    if (this.#completed) return;
    const answer = answerFor(failure);
    this.responseFlags = this.retryFlag === undefined ? answer.flags : `${answer.flags},${this.retryFlag}`;
    this.responseCodeDetails = answer.details;
    this.upstreamTransportFailureReason = answer.transportReason?.replace(/\s/g, '_');
    this.#dropUpstream();
    if (this.response !== undefined) {
      this.#breakOff(this.response, answer, failure.kind !== 'internal');
      return;
    }
    const headers = [...(answer.headers ?? []), ...this.#headersOf(failure)];
    this.reply(answer.status, headers, this.#bodyOf(failure, answer.body), answer.grpcStatus);
  }

  /** Nobody may take for whole what has begun: gRPC is told so by a status where one can follow, everybody else by a reset. */
  #breakOff(response: ResponseHead, answer: FailureAnswer, mayEnd: boolean): void {
    this.responseCodeDetails = answer.details.replace('before_response', 'after_response');
    if (mayEnd && this.grpc?.canEnd(response) === true) {
      const trailers: Headers = [];
      pushGrpcStatus(
        trailers,
        answer.grpcStatus ?? grpcStatusOf(answer.status),
        answer.body.replace('before', 'after'),
      );
      this.grpc.responseTrailers = trailers;
      this.downstream.sendEnd(trailers);
    } else this.downstream.abort();
    this.complete();
  }

  /** Which object decided is told to callers whose certificate proves that they are of this mesh, and to nobody else. */
  #headersOf(failure: Failure): Headers {
    if (failure.kind !== 'denied' || failure.denial.objects === '' || this.connection.security !== 'mutual_tls')
      return [];
    return ['x-lateen-decided-by', failure.denial.objects];
  }

  /** The present attempt failed: a layer tries again, or the exchange fails. */
  failAttempt(failure: Failure): void {
    if (this.#completed) return;
    if (failure.kind !== 'overflow') recordResult(this, 'failed'); // nobody was asked
    if (this.response === undefined)
      for (const layer of this.#stack.failure) if (layer.onFailure(this, failure)) return;
    this.fail(failure);
  }

  /** Takes the request back from its endpoint. */
  giveUpAttempt(): void {
    this.#dropUpstream();
    endAttempt(this);
  }

  /** Envoy's text; towards the workload itself our sentence follows on a line of its own. */
  #bodyOf(failure: Failure, text: string): string {
    if (this.settings.direction === 'inbound') return text;
    const { method, path, authority } = this.request;
    const provenance = this.route?.provenance;
    const [, , subset] = (this.destination?.cluster ?? '').split('|');
    const sentence = explainFailure(failure, {
      method,
      path,
      authority,
      service: this.cluster?.service.host ?? this.destination?.cluster.split('|').at(-1),
      subset,
      endpoint: this.endpoint?.host,
      decidedBy: provenance === undefined ? undefined : `${provenance.object} ${provenance.path}`,
    });
    return `${text}${text === '' ? '' : '\n'}lateen: ${sentence}\n`;
  }

  // ---- from the caller

  onRequestBody(chunk: Buffer): void {
    this.bytesReceived += chunk.length;
    if (this.#completed) return;
    this.grpc?.onRequestBody(chunk);
    if (this.mirrors !== undefined) for (const mirror of this.mirrors) mirror.sendBody(chunk);
    if (this.#upstream === undefined) {
      this.#hold(chunk);
      if (this.#heldBytes > mostHeldBytes) this.downstream.pauseBody();
      return;
    }
    if (!this.#upstream.sendBody(chunk)) this.downstream.pauseBody();
    if (this.keepsBody) this.#hold(chunk);
    this.#forgetSentBody();
  }

  #hold(chunk: Buffer): void {
    this.#held.push(Buffer.from(chunk));
    this.#heldBytes += chunk.length;
  }

  /** What was sent is dropped, unless it may be needed again and is small. */
  #forgetSentBody(): void {
    if (this.keepsBody && this.#heldBytes <= mostHeldBytes) return;
    this.keepsBody = false;
    this.#bodyLost = true;
    this.#held = [];
    this.#heldBytes = 0;
  }

  onRequestEnd(trailers: Headers | undefined): void {
    this.#requestEnded = true;
    this.#requestTrailers = trailers;
    if (this.#completed) return;
    // What is kept back goes through these when it goes on.
    if (this.delayTimer === undefined) for (const layer of this.#stack.requestEnd) layer.onRequestEnd(this);
    this.#upstream?.sendEnd(trailers);
  }

  onDownstreamGone(refusedWith?: number): void {
    if (this.#completed) return;
    if (refusedWith === undefined) {
      this.responseFlags = 'DC';
      this.responseCodeDetails = 'downstream_remote_disconnect';
    } else {
      this.responseFlags = 'DPE';
      this.responseCodeDetails =
        this.request.version === 'HTTP/2' ? 'http2.violation.of.messaging.rule' : 'http1.codec_error';
      this.response ??= { status: refusedWith, headers: [], framing: 'none', contentLength: 0, headBytes: 0 };
    }
    this.#dropUpstream();
    this.complete();
  }

  onDownstreamDrain(): void {
    if (this.grpc !== undefined) this.grpc.isHeldUp = false;
    this.#upstream?.resumeBody();
  }

  onInternalError(error: unknown): void {
    this.fail({ kind: 'internal', error });
  }

  /** Neither side sent anything for too long. */
  onStreamIdle(): void {
    this.fail({ kind: 'stream-idle' });
  }

  // ---- from the upstream

  onConnected(peer: Party | undefined): void {
    this.peer = peer;
  }

  onUpstreamReady(stream: UpstreamStream): void {
    this.#upstream = stream;
    this.upstreamHost = stream.remoteAddress;
    this.upstreamLocalAddress = stream.localAddress;
    let room = true;
    for (const chunk of this.#held) room = stream.sendBody(chunk) && room;
    const wasPaused = this.#heldBytes > mostHeldBytes;
    if (this.#held.length > 0) this.#forgetSentBody();
    if (this.#requestEnded) stream.sendEnd(this.#requestTrailers);
    else if (wasPaused && room) this.downstream.resumeBody();
  }

  onInformational(head: ResponseHead): void {
    this.downstream.sendInformational(head);
  }

  onUpgraded(head: ResponseHead, upstream: RelayEnd): void {
    this.#upstream = undefined;
    if (this.#completed) {
      upstream.socket.destroy();
      return;
    }
    recordResult(this, head.status);
    this.response = head;
    this.responseCodeDetails = 'via_upstream';
    clearTimeout(this.timer); // a route's timeout is for answers; what follows has no end of its own
    clearTimeout(this.tryTimer);
    for (const layer of this.#stack.response) layer.onResponse(this, head);
    joinTunnel(this.downstream.switchProtocols(head), upstream, this.settings.limits.idleTimeoutMs, {
      onForward: (bytes) => (this.bytesReceived += bytes),
      onBackward: (bytes) => (this.bytesSent += bytes),
      onClose: () => this.complete(),
    });
  }

  onResponseHead(head: ResponseHead, endsHere: boolean): void {
    if (this.#completed) return;
    recordResult(this, healthStatusOf(this.grpc, head));
    if (endsHere) this.#upstream = undefined; // it is free, and may carry another request already
    for (const layer of this.#stack.answer) if (layer.onAnswer(this, head)) return;
    this.response = head;
    this.responseCodeDetails = 'via_upstream';
    if (this.retryFlag !== undefined) this.responseFlags = this.retryFlag;
    for (const layer of this.#stack.response) layer.onResponse(this, head);
    this.responseHeadBytes = this.downstream.sendHead(head, endsHere);
    if (endsHere) this.complete();
  }

  onResponseBody(chunk: Buffer): void {
    this.bytesSent += chunk.length;
    this.grpc?.onResponseBody(chunk);
    if (this.downstream.sendBody(chunk)) return;
    if (this.grpc !== undefined) this.grpc.isHeldUp = true;
    this.#upstream?.pauseBody();
  }

  onResponseEnd(trailers: Headers | undefined): void {
    if (this.#completed) return;
    if (this.grpc !== undefined) this.grpc.responseTrailers = trailers;
    this.downstream.sendEnd(trailers);
    this.complete();
  }

  onUpstreamFailure(failure: UpstreamFailure): void {
    this.#upstream = undefined;
    if (failure.kind === 'internal') this.fail(failure); // no fault of the endpoint's, and no better elsewhere
    else this.failAttempt(failure);
  }

  onUpstreamDrain(): void {
    this.downstream.resumeBody();
  }

  // ---- the end

  /** Ends the exchange once, whatever ended it. */
  complete(): void {
    if (this.#completed) return;
    this.#completed = true;
    this.#upstream = undefined;
    this.#held = [];
    this.endMs = performance.now();
    endAttempt(this);
    for (const layer of this.#stack.complete) {
      try {
        layer.onComplete(this);
      } catch (error) {
        this.environment.onInternalError(error); // one that cannot count or log keeps no other from cleaning up
      }
    }
  }

  #dropUpstream(): void {
    this.#upstream?.cancel();
    this.pool?.cancel(this); // it may wait for a second connection after the first one was stale
    this.#upstream = undefined;
  }

  // ---- for logs

  get durationMs(): number {
    return this.endMs - this.startMs;
  }

  get protocol(): string {
    return this.request.version;
  }

  get responseCode(): number {
    return this.response?.status ?? 0;
  }

  get grpcStatus(): number | undefined {
    return this.grpc?.statusOf(this.response);
  }

  get upstreamCluster(): string | undefined {
    return this.destination?.cluster;
  }

  get downstreamLocalAddress(): string {
    return this.connection.localAddress;
  }

  get downstreamRemoteAddress(): string {
    return this.connection.remoteAddress;
  }

  get requestedServerName(): string | undefined {
    return this.connection.serverName;
  }

  get routeName(): string | undefined {
    return this.route?.name;
  }

  requestHeader(name: string): string | undefined {
    switch (name) {
      case ':method':
        return this.request.method;
      case ':path':
        return this.request.path;
      case ':authority':
      case 'host':
        return this.request.authority;
      case 'x-envoy-original-path':
        return this.originalPath;
      default:
        return findHeader(this.request.headers, name);
    }
  }

  responseHeader(name: string): string | undefined {
    return this.response === undefined ? undefined : findHeader(this.response.headers, name);
  }
}
