// One started application: a process group of its own, its output line by line, ended with patience.
import { spawn, type ChildProcess } from 'node:child_process';
import { LineSplitter } from '../util/line-splitter.js';
import { findByEnvironment, isGroupAlive, signalGroup } from './process-table.js';

/** How long a process may take to end after SIGTERM. */
export const graceMs = 10_000;
/** How long the end of a killed process is waited for. */
const afterKillMs = 2000;
/** Names the workload, and the run of the mesh, in its own environment: it finds processes that left their group. */
export const workloadVariable = 'LATEEN_WORKLOAD';

export interface CommandOptions {
  /** A text runs in a shell, a list as program and arguments. */
  readonly command: string | readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
  /** The process that was started has ended. */
  readonly onExit: (exit: CommandExit) => void;
}

export interface CommandExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not be started at all. */
  readonly startError: string | undefined;
  /** Processes that it left behind: it went into the background. */
  readonly leftBehind: readonly number[];
}

export class Command {
  readonly pid: number | undefined;
  readonly #child: ChildProcess;
  readonly #marker: string;
  #exited = false;

  constructor({ command, cwd, env, onLine, onExit }: CommandOptions) {
    this.#marker = env[workloadVariable] ?? '';
    const [program, ...args] = typeof command === 'string' ? ['/bin/sh', '-c', command] : command;
    this.#child = spawn(program!, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    this.pid = this.#child.pid;
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      const lines = new LineSplitter(onLine);
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => lines.push(text));
      stream.on('end', () => lines.end());
      stream.on('error', () => undefined);
    }
    let told = false;
    const tell = (exit: CommandExit) => {
      if (told) return;
      told = true;
      this.#exited = true;
      onExit(exit);
    };
    this.#child.once('error', (error) => tell({ code: null, signal: null, startError: error.message, leftBehind: [] }));
    this.#child.once('exit', (code, signal) =>
      tell({ code, signal, startError: undefined, leftBehind: findByEnvironment(workloadVariable, this.#marker) }),
    );
  }

  /** Processes of the command that are alive though the one that was started has ended. */
  leftBehind(): number[] {
    return this.#exited ? findByEnvironment(workloadVariable, this.#marker) : [];
  }

  /** Ends the whole group, then whoever left it; resolves when none is alive. `patient` false skips the grace. */
  async stop(patient = true): Promise<void> {
    const { pid } = this;
    if (pid === undefined) return;
    signalGroup(pid, 'SIGTERM');
    await waitUntil(() => !isGroupAlive(pid), patient ? graceMs : 0);
    signalGroup(pid, 'SIGKILL');
    // A zombie that nobody reaps keeps its group alive for ever: that is not ours to wait for.
    await waitUntil(() => !isGroupAlive(pid) && this.#exited, afterKillMs);
    if (this.leftBehind().length === 0) return;
    this.#signalLeftBehind('SIGTERM');
    await waitUntil(() => this.leftBehind().length === 0, patient ? graceMs : 0);
    this.#signalLeftBehind('SIGKILL');
  }

  #signalLeftBehind(signal: NodeJS.Signals): void {
    for (const pid of this.leftBehind()) {
      try {
        process.kill(pid, signal);
      } catch {
        // it has just ended
      }
    }
  }
}

/** Resolves when `done` holds, or after `longestMs`. */
async function waitUntil(done: () => boolean, longestMs: number): Promise<void> {
  const deadline = performance.now() + longestMs;
  while (!done() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
}
