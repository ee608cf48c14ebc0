// One request and its answer on their way through the proxy: the state that the layers share, and the passing of bytes
// between the two connections with back-pressure both ways.
import type { AccessRecord } from '../../telemetry/access-log/record.js';
import type { Party } from '../../telemetry/istio-labels.js';
import type { Cluster } from '../cluster/cluster.js';
import type { Endpoint } from '../cluster/endpoint.js';
import type { ConnectionInfo } from '../listener/connection-info.js';
import { answerFor, explainFailure, type Failure } from './failures.js';
import type { HttpEnvironment, HttpSettings } from './environment.js';
import { findHeader, type Headers, type RequestHead, type ResponseHead } from './message.js';
import type { HttpPool, PoolClient } from './pool.js';
import type { CompiledRoute, Destination } from './route-table.js';
import type { Stack } from './stack.js';
import type { RequestTrace } from './tracing.js';
import type { DownstreamEvents, DownstreamStream, UpstreamFailure, UpstreamStream } from './streams.js';

/** Request bytes that are held while there is nowhere to send them. */
const mostHeldBytes = 64 * 1024;

export class Exchange implements DownstreamEvents, PoolClient, AccessRecord {
  readonly request: RequestHead;
  readonly connection: ConnectionInfo;
  readonly settings: HttpSettings;
  readonly environment: HttpEnvironment;
  readonly downstream: DownstreamStream;
  readonly #stack: Stack;

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
  #held: Buffer[] = [];
  #heldBytes = 0;
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
  }

  /** Passes the request through the layers, outermost first; the last one forwards it. */
  begin(): void {
    for (const layer of this.#stack.request) if (!layer.onRequest(this)) return;
  }

  get isWaiting(): boolean {
    return !this.#completed;
  }

  get requestEnded(): boolean {
    return this.#requestEnded;
  }

  // ---- answers made here

  /** Answers without an upstream. */
  reply(status: number, headers: Headers, body: string): void {
    if (this.#completed) return;
    const bytes = Buffer.from(body);
    const withBody = [...headers];
    if (body !== '') withBody.push('content-type', 'text/plain');
    withBody.push('date', new Date().toUTCString(), 'server', 'lateen');
    this.response = {
      status,
      headers: withBody,
      framing: body === '' ? 'none' : 'length',
      contentLength: bytes.length,
      headBytes: 0,
    };
    const endsHere = body === '' || this.request.method === 'HEAD';
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
    if (this.#completed) return;
    const answer = answerFor(failure);
    this.responseFlags = answer.flags;
    this.responseCodeDetails = answer.details;
    this.upstreamTransportFailureReason = answer.transportReason?.replace(/\s/g, '_');
    this.#dropUpstream();
    if (this.response !== undefined) {
      this.downstream.abort();
      this.complete();
      return;
    }
    this.reply(answer.status, [], this.#bodyOf(failure, answer.body));
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
    if (this.#upstream !== undefined) {
      if (!this.#upstream.sendBody(chunk)) this.downstream.pauseBody();
      return;
    }
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes > mostHeldBytes) this.downstream.pauseBody();
  }

  onRequestEnd(trailers: Headers | undefined): void {
    this.#requestEnded = true;
    if (this.#completed) return;
    for (const layer of this.#stack.requestEnd) layer.onRequestEnd(this);
    if (this.#upstream !== undefined) this.#upstream.sendEnd(trailers);
    else this.#requestTrailers = trailers;
  }

  onDownstreamGone(refusedWith?: number): void {
    if (this.#completed) return;
    if (refusedWith === undefined) {
      this.responseFlags = 'DC';
      this.responseCodeDetails = 'downstream_remote_disconnect';
    } else {
      this.responseFlags = 'DPE';
      this.responseCodeDetails = 'http1.codec_error';
      this.response ??= { status: refusedWith, headers: [], framing: 'none', contentLength: 0, headBytes: 0 };
    }
    this.#dropUpstream();
    this.complete();
  }

  onDownstreamDrain(): void {
    this.#upstream?.resumeBody();
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
    this.#held = [];
    if (this.#requestEnded) stream.sendEnd(this.#requestTrailers);
    else if (this.#heldBytes > mostHeldBytes && room) this.downstream.resumeBody();
    this.#heldBytes = 0;
  }

  onInformational(head: ResponseHead): void {
    this.downstream.sendInformational(head);
  }

  onResponseHead(head: ResponseHead, endsHere: boolean): void {
    if (this.#completed) return;
    this.response = head;
    this.responseCodeDetails = 'via_upstream';
    for (const layer of this.#stack.response) layer.onResponse(this, head);
    this.responseHeadBytes = this.downstream.sendHead(head, endsHere);
    if (endsHere) this.complete();
  }

  onResponseBody(chunk: Buffer): void {
    this.bytesSent += chunk.length;
    if (!this.downstream.sendBody(chunk)) this.#upstream?.pauseBody();
  }

  onResponseEnd(trailers: Headers | undefined): void {
    if (this.#completed) return;
    this.downstream.sendEnd(trailers);
    this.complete();
  }

  onUpstreamFailure(failure: UpstreamFailure): void {
    this.#upstream = undefined;
    this.fail(failure);
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
    for (const layer of this.#stack.complete) layer.onComplete(this);
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
