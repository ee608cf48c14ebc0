// One of the mesh's own processes (control plane, data plane, worker): started again when it ends, with a pause that grows, and told
// everything anew each time. It ends by itself when this process does, because its channel closes.
import { fork, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { Backoff } from '../util/backoff.js';
import { LineSplitter } from '../util/line-splitter.js';
import { signalGroup } from './process-table.js';

export interface RoleOptions<Incoming> {
  /** Entry point of the program. */
  readonly program: string;
  readonly args: readonly string[];
  /** Options of Node itself; none: its defaults. */
  readonly nodeOptions?: readonly string[];
  /** Whether it belongs to the process group of this process; default false: it leads one, which ends with it. */
  readonly inGroup?: boolean;
  /** Called at every start; what the process needs to know is sent here. */
  readonly onStart: () => void;
  readonly onMessage: (message: Incoming) => void;
  readonly onLine: (line: string) => void;
  /** It has ended, and everything that it said has been heard. */
  readonly onGone?: () => void;
  /** It ended without being asked to. */
  readonly onUnexpectedExit: (reason: string, restartInMs: number) => void;
}

/** A process that ran this long had recovered: the next pause is short again. */
const healthyAfterMs = 10_000;

export class RoleProcess<Outgoing extends object, Incoming> {
  readonly #options: RoleOptions<Incoming>;
  readonly #backoff = new Backoff({ firstMs: 100, longestMs: 5000 });
  #child: ChildProcess | undefined;
  #retry: NodeJS.Timeout | undefined;
  #stopping = false;

  constructor(options: RoleOptions<Incoming>) {
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const startedMs = performance.now();
    const child = fork(this.#options.program, [...this.#options.args], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: this.#options.inGroup !== true,
      execArgv: [...(this.#options.nodeOptions ?? [])],
    });
    this.#child = child;
    for (const stream of [child.stdout!, child.stderr!]) {
      const lines = new LineSplitter(this.#options.onLine);
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => lines.push(text));
      stream.on('end', () => lines.end());
    }
    child.on('message', (message) => this.#options.onMessage(message as Incoming));
    // Not 'disconnect': Node keeps that back for ever where a socket was on its way to the process.
    child.once('close', () => this.#options.onGone?.());
    child.once('error', () => undefined); // 'exit' follows
    child.once('exit', (code, signal) => {
      this.#child = undefined;
      // What it started ends with it, even what no longer hears that it should.
      if (this.#options.inGroup !== true && child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
      if (this.#stopping) return;
      if (performance.now() - startedMs > healthyAfterMs) this.#backoff.reset();
      const restartInMs = this.#backoff.next();
      this.#options.onUnexpectedExit(
        signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`,
        restartInMs,
      );
      this.#retry = setTimeout(() => this.start(), restartInMs);
    });
    this.#options.onStart();
  }

  /**
   * Tells the process something; what cannot be told now is told at its next start.
   * @param socket goes with it, and stays open here too
   */
  send(message: Outgoing, socket?: Socket): void {
    if (this.#child?.connected === true) this.#child.send(message, socket, { keepOpen: true }, () => undefined);
  }

  /** Asks it to end, and insists after `longestMs`. */
  async stop(longestMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#retry);
    const child = this.#child;
    if (child === undefined) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), longestMs);
    await ended;
    clearTimeout(timer);
  }
}
