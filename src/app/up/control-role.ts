// The control plane as the supervisor sees it: a process that is told the whole state at every start and at every change.
import type { Diagnostic } from '../../api/diagnostic.js';
import type { Guard } from '../../local/guard.js';
import { RoleProcess } from '../../local/role-process.js';
import { UserError } from '../../util/errors.js';
import { withinTime } from '../../util/within-time.js';
import type { ControlStart, FromControl, MeshState, ToControl } from '../role-messages.js';
import type { UpReporter } from './reporter.js';

export interface ControlRoleOptions {
  readonly program: string;
  readonly guard: Guard;
  readonly reporter: UpReporter;
  /** How it should start; the port that it had before comes first. */
  readonly startMessage: (lastHttpPort: number | undefined) => ControlStart;
  readonly state: () => MeshState;
  readonly onDiagnostics: (diagnostics: readonly Diagnostic[], plaintext: readonly string[]) => void;
  /** Its process changed. */
  readonly onChange: () => void;
}

export type Listening = Extract<FromControl, { kind: 'listening' }>;

interface SyncWaiter {
  readonly sequence: number;
  readonly resolve: () => void;
}

export class ControlRole {
  readonly #options: ControlRoleOptions;
  readonly #role: RoleProcess<ToControl, FromControl>;
  readonly #waiting = new Set<SyncWaiter>();
  #httpPort: number | undefined;
  #settleStart:
    | { readonly resolve: (listening: Listening) => void; readonly reject: (error: Error) => void }
    | undefined;

  constructor(options: ControlRoleOptions) {
    this.#options = options;
    this.#role = new RoleProcess<ToControl, FromControl>({
      program: options.program,
      args: ['control'],
      onStart: () => this.#tellEverything(),
      onMessage: (message) => this.#receive(message),
      onLine: (line) => options.reporter.output('control', line),
      onUnexpectedExit: (reason, restartInMs) => {
        const pause = (restartInMs / 1000).toFixed(1);
        options.reporter.problem(`control plane: ${reason}; traffic goes on, it is started again in ${pause} s`);
        options.onChange();
      },
    });
  }

  get pid(): number | undefined {
    return this.#role.pid;
  }

  /** Address of API, metrics and status page. */
  get url(): string {
    return `http://127.0.0.1:${this.#httpPort ?? 0}/`;
  }

  /** Resolves when it listens; rejects where it never will. */
  start(): Promise<Listening> {
    return new Promise((resolve, reject) => {
      this.#settleStart = { resolve, reject };
      this.#role.start();
    });
  }

  send(state: MeshState): void {
    this.#role.send(state);
  }

  /** Resolves when every proxy has taken the state of that sequence, or after `longestMs`. */
  async synced(sequence: number, longestMs: number): Promise<void> {
    let waiter: SyncWaiter | undefined;
    await withinTime(new Promise<void>((resolve) => this.#waiting.add((waiter = { sequence, resolve }))), longestMs);
    if (waiter !== undefined) this.#waiting.delete(waiter);
  }

  stop(longestMs: number): Promise<void> {
    return this.#role.stop(longestMs);
  }

  #tellEverything(): void {
    this.#role.send(this.#options.startMessage(this.#httpPort));
    this.#role.send(this.#options.state());
    if (this.pid !== undefined) this.#options.guard.add(this.pid);
    this.#options.onChange();
  }

  #receive(message: FromControl): void {
    switch (message.kind) {
      case 'listening':
        this.#httpPort = message.httpPort;
        this.#settleStart?.resolve(message);
        this.#options.onChange();
        break;
      case 'fatal':
        this.#options.reporter.problem(`control plane: ${message.message}`);
        this.#settleStart?.reject(new UserError(message.message));
        break;
      case 'synced':
        for (const { sequence, resolve } of this.#waiting) if (sequence <= message.sequence) resolve();
        break;
      case 'diagnostics':
        this.#options.onDiagnostics(message.diagnostics, message.plaintext);
        break;
    }
  }
}
