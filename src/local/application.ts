// Keeps the application of one instance running: starts it, finds out when it takes connections, starts it again when it
// ends, and says in one sentence what is wrong when something is.
import net from 'node:net';
import { Backoff } from '../util/backoff.js';
import { Command, type CommandExit, type CommandOptions } from './command.js';
import type { Guard } from './guard.js';
import type { Address } from '../model/workload.js';

export interface ApplicationOptions {
  /** Undefined where it runs already and is only watched for. */
  readonly command: Pick<CommandOptions, 'command' | 'cwd' | 'env'> | undefined;
  /** Where it must listen; none for a workload that only calls others. */
  readonly listens: readonly Address[];
  readonly guard: Guard;
  readonly onLine: (line: string) => void;
  readonly onState: (state: ApplicationState) => void;
}

export interface ApplicationState {
  readonly pid: number | undefined;
  /** Whether it takes connections. */
  readonly ready: boolean;
  /** What is wrong, and what to do; undefined where nothing is. */
  readonly problem: string | undefined;
}

/** After this long without listening it is named. */
const listenWithinMs = 10_000;
/** How often it is tried while it starts. */
const probeEveryMs = 50;
const probeLaterEveryMs = 1000;
/** How often a process that went into the background is looked for. */
const lookEveryMs = 1000;
/** A command that ran this long had recovered: the next pause before a start is short again. */
const healthyAfterMs = 10_000;

export class Application {
  readonly #options: ApplicationOptions;
  readonly #backoff = new Backoff({ firstMs: 100, longestMs: 5000 });
  #command: Command | undefined;
  #state: ApplicationState = { pid: undefined, ready: false, problem: undefined };
  #startedMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #lastLine = '';
  /** Counts starts and ends, so that an answer from before is not taken for one about now. */
  #turn = 0;
  #stopped = false;

  constructor(options: ApplicationOptions) {
    this.#options = options;
  }

  get state(): ApplicationState {
    return this.#state;
  }

  start(): void {
    this.#turn++;
    this.#startedMs = performance.now();
    const { command } = this.#options;
    if (command !== undefined) {
      const started = new Command({
        ...command,
        onLine: (line) => this.#onLine(line),
        onExit: (exit) => this.#onExit(started, exit),
      });
      this.#command = started;
      if (started.pid !== undefined) this.#options.guard.add(started.pid);
      this.#tell({ pid: started.pid, ready: false, problem: this.#state.problem });
    }
    this.#probe();
  }

  async stop(patient = true): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
    const command = this.#command;
    await command?.stop(patient);
    if (command?.pid !== undefined) this.#options.guard.remove(command.pid);
  }

  #onLine(line: string): void {
    if (line.trim() !== '') this.#lastLine = line;
    this.#options.onLine(line);
  }

  #probe(): void {
    const { listens } = this.#options;
    const turn = this.#turn;
    void Promise.all(listens.map(takesConnections)).then((answers) => {
      if (this.#stopped || turn !== this.#turn) return;
      if (answers.every(Boolean)) {
        // Where nothing has to listen, being ready proves nothing.
        if (listens.length > 0) this.#backoff.reset();
        // Output that went into the background stays named though it works.
        this.#tell({ ...this.#state, ready: true, problem: this.#backgroundProblem() });
        return;
      }
      const waitedMs = performance.now() - this.#startedMs;
      if (waitedMs > listenWithinMs && this.#state.problem === undefined) {
        const missing = listens.filter((_, i) => answers[i] !== true).map(({ address, port }) => `${address}:${port}`);
        this.#tell({ ...this.#state, problem: this.#neverListened(missing.join(' and ')) });
      }
      this.#timer = setTimeout(() => this.#probe(), waitedMs > listenWithinMs ? probeLaterEveryMs : probeEveryMs);
    });
  }

  #neverListened(places: string): string {
    return this.#options.command === undefined
      ? `nothing listens on ${places}; start what \`address\` names, or correct it`
      : `the command runs, but nothing listens on ${places} after ${listenWithinMs / 1000} s; it must listen on 127.0.0.1 and the port in $PORT`;
  }

  #onExit(command: Command, exit: CommandExit): void {
    if (this.#stopped || command !== this.#command) return;
    this.#turn++;
    clearTimeout(this.#timer);
    if (exit.leftBehind.length > 0) {
      this.#adoptBackground(command);
      return;
    }
    if (command.pid !== undefined) this.#options.guard.remove(command.pid);
    if (performance.now() - this.#startedMs > healthyAfterMs) this.#backoff.reset();
    const restartInMs = this.#backoff.next();
    this.#tell({ pid: undefined, ready: false, problem: this.#describeExit(exit, restartInMs) });
    this.#retry = setTimeout(() => this.start(), restartInMs);
  }

  #describeExit({ code, signal, startError }: CommandExit, restartInMs: number): string {
    if (startError !== undefined) return `the command cannot be started: ${startError}; correct \`command\``;
    const how = signal === null ? `with code ${code}` : `by ${signal}`;
    const ranMs = performance.now() - this.#startedMs;
    const last = this.#lastLine === '' ? '' : `; its last line was: ${this.#lastLine.slice(0, 200)}`;
    return `the command ended ${how} after ${(ranMs / 1000).toFixed(1)} s and is started again in ${(restartInMs / 1000).toFixed(1)} s${last}`;
  }

  /** The command forked and ended: what it left behind works or not, but cannot be supervised well. */
  #adoptBackground(command: Command): void {
    this.#tell({ ...this.#state, problem: this.#backgroundProblem() });
    this.#probe();
    const look = () => {
      if (this.#stopped) return;
      if (command.leftBehind().length > 0) this.#retry = setTimeout(look, lookEveryMs);
      else this.#onExit(command, { code: null, signal: null, startError: undefined, leftBehind: [] });
    };
    look();
  }

  #backgroundProblem(): string | undefined {
    const left = this.#command?.leftBehind() ?? [];
    return left.length === 0
      ? undefined
      : `the command went into the background (process ${left.join(', ')}) and ended; keep it in the foreground, so that its end can be seen`;
  }

  #tell(state: ApplicationState): void {
    this.#state = state;
    this.#options.onState(state);
  }
}

/** Whether something accepts a connection there now. */
function takesConnections({ address, port }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: address, port, timeout: 1000 });
    const finish = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => finish(true));
    socket.once('error', () => finish(false));
    socket.once('timeout', () => finish(false));
  });
}
