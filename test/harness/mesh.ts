// Runs a real mesh for a test: files in a folder of its own, `lateen up` as a process, everything ended afterwards.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findStartTime } from '../../src/local/process-table.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
export const program = join(root, 'dist/src/main.js');
/** Command line of an application in test/apps. */
export const app = (name: string): string => `exec ${process.execPath} ${join(root, 'test/apps', name)}`;
export { root };

export interface RunEntry {
  readonly name: string;
  readonly namespace: string;
  readonly service: string;
  readonly version: string;
  readonly spiffeId: string;
  readonly pid: number | null;
  readonly proxyPid: number | null;
  readonly workerPids: readonly number[];
  readonly app: { readonly address: string; readonly port: number } | null;
  readonly inbound: { readonly address: string; readonly port: number } | null;
  readonly outboundHttp: { readonly address: string; readonly port: number };
  readonly upstreams: Readonly<Record<string, number>>;
  readonly ready: boolean;
}

export interface RunFile {
  readonly workloads: readonly RunEntry[];
  readonly pids: { readonly supervisor: number; readonly control: number; readonly data: number | null };
  readonly url: string;
}

export interface MeshOptions {
  readonly args?: readonly string[];
  /** Folder to use instead of a new one. */
  readonly directory?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Shell commands that the mesh inherits from, such as `ulimit -n 64`. */
  readonly shell?: string;
  /** How long `ready` may take; ten times what it takes on an idle machine. */
  readonly readyWithinMs?: number;
}

/** A mesh that runs in a process of its own. */
export class TestMesh {
  readonly directory: string;
  readonly process: ChildProcess;
  #output = '';
  readonly #watchers = new Set<() => void>();

  private constructor(directory: string, { args = [], env = {}, shell }: MeshOptions) {
    this.directory = directory;
    const command = [process.execPath, program, 'up', directory, ...args];
    const [first, ...rest] = shell === undefined ? command : ['/bin/sh', '-c', `${shell}; exec "$@"`, 'sh', ...command];
    this.process = spawn(first!, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    for (const stream of [this.process.stdout!, this.process.stderr!])
      stream.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString();
        for (const watcher of this.#watchers) watcher();
      });
  }

  /** Writes the files, starts the mesh and waits until it is ready. */
  static async start(files: Readonly<Record<string, string>>, options: MeshOptions = {}): Promise<TestMesh> {
    const directory = options.directory ?? newFolder();
    writeFiles(directory, files);
    const mesh = new TestMesh(directory, options);
    try {
      await mesh.waitForOutput(/^ready http/m, options.readyWithinMs ?? 60_000);
    } catch (error) {
      await mesh.stop();
      throw error;
    }
    return mesh;
  }

  /** Starts it without waiting. */
  static spawn(files: Readonly<Record<string, string>>, options: MeshOptions = {}): TestMesh {
    const directory = options.directory ?? newFolder();
    writeFiles(directory, files);
    return new TestMesh(directory, options);
  }

  /** Everything that it printed. */
  get output(): string {
    return this.#output;
  }

  get run(): RunFile {
    return JSON.parse(readFileSync(join(this.directory, '.lateen/run.json'), 'utf8')) as RunFile;
  }

  /** One instance by name. */
  workload(name: string): RunEntry {
    const entry = this.run.workloads.find((candidate) => candidate.name === name);
    if (entry === undefined)
      throw new Error(`no workload ${name} in ${this.run.workloads.map((candidate) => candidate.name).join(', ')}`);
    return entry;
  }

  write(files: Readonly<Record<string, string>>): void {
    writeFiles(this.directory, files);
  }

  async waitForOutput(pattern: RegExp, withinMs = 30_000): Promise<void> {
    await this.#until(
      () => pattern.test(this.#output),
      withinMs,
      () => `no output ${pattern} within ${withinMs} ms; there was:\n${this.#output}`,
    );
  }

  async #until(holds: () => boolean, withinMs: number, message: () => string): Promise<void> {
    if (holds()) return;
    await new Promise<void>((resolve, reject) => {
      const finish = (error?: Error) => {
        clearTimeout(timer);
        this.#watchers.delete(check);
        this.process.off('exit', onExit);
        if (error === undefined) resolve();
        else reject(error);
      };
      const check = () => holds() && finish();
      const onExit = () => (holds() ? finish() : finish(new Error(`the mesh ended: ${message()}`)));
      const timer = setTimeout(() => finish(new Error(message())), withinMs);
      this.#watchers.add(check);
      this.process.once('exit', onExit);
      if (this.process.exitCode !== null) onExit();
    });
  }

  /** Resolves with the exit code. */
  async exited(withinMs = 30_000): Promise<number | null> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return this.process.exitCode;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`the mesh did not end within ${withinMs} ms; it printed:\n${this.#output}`)),
        withinMs,
      );
      this.process.once('exit', (code) => {
        clearTimeout(timer);
        resolve(code);
      });
    });
  }

  /** Ends it as Ctrl-C does. */
  async stop(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill('SIGINT');
      await this.exited().catch(async () => {
        this.process.kill('SIGKILL');
        await this.exited();
      });
    }
  }

  /** Ends it and removes its folder. */
  async close(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async fetchJson(path: string): Promise<unknown> {
    return (await fetch(new URL(path, this.run.url))).json();
  }

  /** Diagnostics as `get diagnostics` prints them. */
  async diagnostics(): Promise<
    { severity: string; code: string; object: string; file: string; line: number; path: string; message: string }[]
  > {
    return (await this.fetchJson('/api/diagnostics')) as never;
  }
}

export function newFolder(): string {
  return mkdtempSync(join(tmpdir(), 'lateen-test-'));
}

/** Whether a process is at work; one that has ended and that nobody has collected yet is not. */
export function isAlive(pid: number): boolean {
  return findStartTime(pid) !== undefined;
}

function writeFiles(directory: string, files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
}

/** Polls until `holds` gives something other than undefined or false. */
export async function eventually<T>(
  holds: () => Promise<T | undefined | false> | T | undefined | false,
  what: string,
  withinMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  let lastError: unknown;
  while (performance.now() < deadline) {
    try {
      const result = await holds();
      if (result !== undefined && result !== false) return result;
    } catch (error) {
      lastError = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`not within ${withinMs} ms: ${what}${lastError === undefined ? '' : ` (${String(lastError)})`}`);
}
