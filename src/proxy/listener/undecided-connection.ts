// A connection of which it is not known yet what it carries. Its first bytes tell; while there are none, its server is connected
// to ahead, so that one that speaks first is heard, and one that waits for a request costs nothing but that connection.
import type { Socket } from 'node:net';
import type { Inspection, OpenedAhead, ServerNews } from './filter-chain.js';

/** How long a client may be silent where nothing is opened ahead. */
const longestSilenceMs = 1000;
/** The same where connections are known to begin with a request, and the server has gone. */
const longestRequestWaitMs = 15_000;

export interface UndecidedOptions {
  /** What the bytes are; undefined where more are needed. */
  readonly tell: (bytes: Buffer) => Inspection | undefined;
  /** How long the client may be silent before its server is connected to. */
  readonly waitMs: number;
  /** How long the first bytes may take that could still be several things. */
  readonly doubtMs: number;
  /** Connects to the server; undefined where that is not for such a connection. */
  readonly openAhead: (onServer: (news: ServerNews) => void) => OpenedAhead | undefined;
  /** Whether connections are known to begin with a request. */
  readonly expectsRequest: () => boolean;
  /** Called once, with the socket paused; undefined where it is bytes because nothing else was told in time. */
  readonly onDecided: (told: Inspection | undefined, first: Buffer | undefined, ahead: OpenedAhead | undefined) => void;
  readonly onServerFirst: () => void;
}

export class UndecidedConnection {
  readonly #socket: Socket;
  readonly #options: UndecidedOptions;
  #held: Buffer | undefined;
  #ahead: OpenedAhead | undefined;
  #silence: NodeJS.Timeout | undefined;
  #doubt: NodeJS.Timeout | undefined;
  #isDecided = false;

  constructor(socket: Socket, first: Buffer | undefined, options: UndecidedOptions) {
    this.#socket = socket;
    this.#held = first;
    this.#options = options;
  }

  /** Whether its client has said anything. */
  get hasSpoken(): boolean {
    return this.#held !== undefined;
  }

  start(): void {
    const socket = this.#socket;
    const { waitMs } = this.#options;
    socket.once('close', this.#stop);
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    if (this.#held !== undefined) this.#look();
    else if (socket.readableEnded) this.#onEnd();
    if (this.#isDecided) return;
    if (waitMs === 0) this.#onSilence();
    else this.#silence = setTimeout(this.#onSilence, waitMs);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#held = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
    this.#look();
  };

  /** Ended without having said enough: it is what it looks like now. */
  readonly #onEnd = (): void => this.#decide(undefined);

  #look(): void {
    const told = this.#options.tell(this.#held!);
    if (told !== undefined) this.#decide(told);
    else this.#doubt ??= setTimeout(this.#onEnd, this.#options.doubtMs);
  }

  readonly #onSilence = (): void => {
    this.#ahead = this.#options.openAhead((news) => this.#onServer(news));
    if (this.#ahead !== undefined) return;
    this.#silence = setTimeout(this.#onEnd, Math.max(0, longestSilenceMs - this.#options.waitMs));
  };

  #onServer(news: ServerNews): void {
    if (this.#isDecided) return;
    if (news === 'spoke') this.#options.onServerFirst();
    if (news === 'spoke' || !this.#options.expectsRequest()) {
      this.#decide(undefined);
      return;
    }
    this.#ahead?.abandon();
    this.#ahead = undefined;
    this.#silence = setTimeout(this.#onEnd, longestRequestWaitMs);
  }

  #decide(told: Inspection | undefined): void {
    if (this.#isDecided) return;
    this.#stop();
    this.#socket.off('close', this.#stop);
    this.#socket.off('data', this.#onData);
    this.#socket.off('end', this.#onEnd);
    this.#socket.pause();
    this.#options.onDecided(told, this.#held, this.#ahead);
  }

  readonly #stop = (): void => {
    this.#isDecided = true;
    clearTimeout(this.#silence);
    clearTimeout(this.#doubt);
  };
}
