// One HTTP/2 connection to a server, shared by as many requests as the server takes at once.
import type { Socket } from 'node:net';
import type { UpstreamEvents } from '../streams.js';
import { Http2Connection, type HeaderBlock } from './connection.js';
import { Http2ClientStream, isWhole } from './client-stream.js';
import { FrameBudget } from './frame-budget.js';
import { errorCode, largestStreamId, preface, setting, ConnectionError } from './frames.js';
import { isHeadAll, writeRequestHead } from './heads.js';
import { carriedHeadFactor, leastWindowOfMesh, type Http2Limits } from './limits.js';
import type { TunnelAddresses } from './stream-tunnel.js';

/** Bounds of a response's head: servers of the mesh may send more than callers. */
const responseHeads = { listBytes: 256 * 1024, fields: 1000 };
/** Streams that a server may have gone wrong. */
const faults = { atOnce: 1000, perSecond: 100 };
/** Streams that we have under way at most where the server sets no limit, and before it has told (RFC 9113 section 6.5.2). */
const mostStreams = 1000;
const mostStreamsBeforeSettings = 100;
/** How long a peer of our own that owes answers may say nothing before it is asked whether it is there, and then to answer. */
const silenceMs = 15_000;
const answerMs = 10_000;
/** How long a server may take nothing of what waits for it, and say nothing, before later requests find another connection. */
const stuckMs = 5000;
/** The same for a server that let a request be given up, as HTTP/1 closes the connection of one. */
const muteMs = 2000;
const pingContent = Buffer.from('lateen?\0', 'latin1');

export interface ClientOptions {
  readonly limits: Http2Limits;
  /** Whether the peer is a Lateen proxy, which carries requests of every version. */
  readonly carries: boolean;
  /** Whether a peer that owes answers and says nothing is asked whether it is there; default: as `carries`. */
  readonly asksWhenSilent?: boolean;
}

/** What keeps the connection. */
export interface SharedConnectionOwner {
  /** The server takes more requests, or fewer, or none any more. */
  onChange(connection: Http2ClientConnection): void;
  /** A request has ended. */
  onEnded(connection: Http2ClientConnection): void;
  onClosed(connection: Http2ClientConnection): void;
  /** The server has not worked on a request; true where the owner sends it again. */
  onUnprocessed(events: UpstreamEvents): boolean;
}

export class Http2ClientConnection extends Http2Connection<Http2ClientStream> {
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly addresses: TunnelAddresses;
  readonly #owner: SharedConnectionOwner;
  /** Whether the peer is a Lateen proxy. */
  readonly carries: boolean;
  readonly #asksWhenSilent: boolean;
  #nextStream = 1;
  /** Requests that it has carried. */
  requests = 0;
  #peerMostStreams = mostStreams;
  #isDraining = false;
  #pingedMs = 0;
  /** Bytes that waited a second ago, and when the server last took or said anything. */
  #queuedBefore = 0;
  #movedMs = performance.now();
  #isStuck = false;

  constructor(
    socket: Socket,
    owner: SharedConnectionOwner,
    { limits, carries, asksWhenSilent }: ClientOptions,
    first?: Buffer,
  ) {
    const factor = carries ? carriedHeadFactor : 1;
    super(socket, {
      ...limits,
      listBytes: factor * responseHeads.listBytes,
      fields: factor * responseHeads.fields,
      streamIdleTimeoutMs: Infinity,
      faults: new FrameBudget(faults.atOnce, faults.perSecond),
      expectsPreface: false,
      leastWindowBytes: carries ? leastWindowOfMesh : 0,
    });
    this.#owner = owner;
    this.carries = carries;
    this.#asksWhenSilent = asksWhenSilent ?? carries;
    this.addresses = socket;
    this.remoteAddress = `${socket.remoteAddress}:${socket.remotePort}`;
    this.localAddress = `${socket.localAddress}:${socket.localPort}`;
    this.writer.raw(preface);
    this.sendSettings([[setting.enablePush, 0]]);
    this.read(first);
  }

  /** Whether a request may begin. */
  get hasRoomForRequest(): boolean {
    return (
      !this.isClosing && this.streams.size < (this.hasSettings ? this.#peerMostStreams : mostStreamsBeforeSettings)
    );
  }

  /** Requests under way. */
  get active(): number {
    return this.streams.size;
  }

  /** Whether no request may begin any more, ever. */
  get isClosing(): boolean {
    return this.isOver || this.#isDraining || this.socket.destroyed;
  }

  /** Sends the head of a request; body and answer follow by events. */
  begin(events: UpstreamEvents): void {
    const id = this.#nextStream;
    this.#nextStream += 2;
    if (this.#nextStream > largestStreamId) this.#isDraining = true;
    this.requests++;
    this.countMessage();
    const stream = new Http2ClientStream(id, this, this.streamSendWindow, events);
    this.streams.set(id, stream);
    try {
      writeRequestHead(this.writer, id, events.request, this.carries);
      if (isHeadAll(events.request)) stream.markHeadAll();
      events.onUpstreamReady(stream);
    } catch (error) {
      stream.cancel();
      throw error;
    }
  }

  /** Takes no more requests, and closes when those under way are answered. */
  drain(): void {
    this.#isDraining = true;
    if (this.active === 0) this.close();
  }

  /**
   * A request without an answer is given up. Where the server has said nothing to anybody meanwhile it may not read any more,
   * and nothing else would tell: what is sent to it may all have gone into the buffers of the system.
   */
  onGivenUp(begunMs: number): void {
    if (!this.#asksWhenSilent && this.nowMs - Math.max(begunMs, this.lastInputMs) > muteMs) this.#leave();
  }

  /** Whether the request goes out once more on another connection. */
  sendsElsewhere(events: UpstreamEvents): boolean {
    return isWhole(events.request) && this.#owner.onUnprocessed(events);
  }

  // ---- from the connection

  protected override get lastPeerStream(): number {
    return 0;
  }

  protected override isIdleStream(id: number): boolean {
    return id % 2 === 0 || id >= this.#nextStream;
  }

  protected override onNewBlock(id: number, _block: HeaderBlock): void {
    if (this.isIdleStream(id))
      throw new ConnectionError(errorCode.protocolError, 'a response on a stream that was never opened');
    this.refuseOldStream(id);
  }

  protected override onSetting(id: number, value: number): void {
    if (id === setting.enablePush && value !== 0)
      throw new ConnectionError(errorCode.protocolError, 'servers cannot ask for pushes');
    if (id === setting.maxConcurrentStreams) this.#peerMostStreams = Math.min(value, mostStreams);
  }

  protected override onSettings(): void {
    this.#owner.onChange(this);
  }

  /** Streams beyond the last one were not worked on; those before are answered yet. */
  protected override onGoaway(lastStreamId: number): void {
    this.#isDraining = true;
    this.#owner.onChange(this);
    for (const stream of this.streams.values()) {
      if (stream.id <= lastStreamId) continue;
      stream.isUnprocessed = true;
      stream.gone(errorCode.refusedStream, 'the server did not take the request');
    }
    if (this.active === 0) this.close();
  }

  protected override onPingAck(): void {
    this.#pingedMs = 0;
  }

  protected override onStreamGone(): void {
    this.#owner.onEnded(this);
    if (this.active > 0 || this.isOver) return;
    if (this.#isStuck) this.destroy();
    else if (this.#isDraining) this.close();
  }

  protected override onClosed(): void {
    this.#owner.onClosed(this);
  }

  protected override onSecond(nowMs: number): void {
    this.#lookWhetherStuck(nowMs);
    if (!this.#asksWhenSilent || this.active === 0) return;
    if (this.#pingedMs !== 0 && nowMs - this.#pingedMs > answerMs) this.destroy();
    else if (this.#pingedMs === 0 && nowMs - this.lastInputMs > silenceMs) {
      this.#pingedMs = nowMs;
      this.writer.ping(pingContent, false);
    }
  }

  /** Servers that read nothing more are asked nothing more; what is under way has its own time limits. */
  #lookWhetherStuck(nowMs: number): void {
    const queued = this.queuedBytes;
    if (queued === 0 || queued < this.#queuedBefore) this.#movedMs = nowMs;
    this.#queuedBefore = queued;
    if (this.#isStuck || nowMs - Math.max(this.#movedMs, this.lastInputMs) <= stuckMs) return;
    this.#leave();
  }

  /** Later requests find another connection; this one goes with those under way. */
  #leave(): void {
    this.#isStuck = true;
    this.#isDraining = true;
    if (this.active === 0) this.destroy();
    else this.#owner.onChange(this);
  }
}
