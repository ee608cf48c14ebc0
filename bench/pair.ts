// A pair of proxies on the yardstick's chain: load -> client proxy (plaintext in) -> mTLS -> server proxy -> backend.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, readFileSync } from 'node:fs';
import net from 'node:net';
import { delimiter, join } from 'node:path';
import type { CallerCredentials } from './load/handshakes.js';

/** What applications speak to their proxies. */
export type Protocol = 'http1' | 'http2' | 'tcp';

/** Where one pair works: loopback ports, which no other pair has. */
export interface Chain {
  readonly protocol: Protocol;
  readonly client: number;
  readonly server: number;
  readonly backend: number;
}

/** Files that pairs are started with. */
export interface Workspace {
  /** A folder that is removed afterwards. */
  readonly folder: string;
  /** PEM files in it: ca, and cert, key and both in one for the two sides. */
  readonly certificates: { readonly ca: string; readonly client: Side; readonly server: Side };
}

export interface Side {
  readonly cert: string;
  readonly key: string;
  readonly both: string;
}

/** A pair at work. */
export interface RunningPair {
  /** Processes whose work is counted for each side, children included; a side that does not exist has none. */
  readonly client: readonly number[];
  readonly server: readonly number[];
  /** A certificate of the caller that the server's proxy admits; absent where there is no server's proxy. */
  readonly callerCredentials?: () => Promise<CallerCredentials>;
  stop(): Promise<void>;
}

export interface Pair {
  readonly name: string;
  /** What it is, for the report. */
  readonly what: string;
  /** How to get it where it is missing; undefined where it is there. */
  whyMissing(): string | undefined;
  /** Why it has no row for a protocol; undefined where it has. */
  whyNot(protocol: Protocol): string | undefined;
  start(workspace: Workspace, chain: Chain): Promise<RunningPair>;
}

/** Of two pairs of one proxy that differ in the version of HTTP between them, each protocol is measured with one. */
export function whyNotOf(isHttp2: boolean, protocol: Protocol): string | undefined {
  if (protocol === 'http2' && !isHttp2) return 'measured with HTTP/2 between';
  return protocol === 'tcp' && isHttp2 ? 'measured once: there is no HTTP in it' : undefined;
}

/** The path of a program, or undefined. */
export function findProgram(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Starts a program that runs until it is stopped, or until this process ends. */
export function startProgram(command: string, args: readonly string[], cwd: string): ChildProcess {
  return endWithThis(spawn(command, args, { cwd, stdio: 'ignore' }));
}

/** Whatever ends the bench, nothing that it started goes on. */
export function endWithThis<Child extends ChildProcess>(child: Child): Child {
  const end = () => void child.kill('SIGTERM');
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
  return child;
}

export async function stopProgram(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
  await ended;
  clearTimeout(timer);
}

/** A pair of two programs. */
export async function startBoth(
  { client: clientPort, server: serverPort }: Chain,
  { ca, client: certificate }: Workspace['certificates'],
  client: ChildProcess,
  server: ChildProcess,
): Promise<RunningPair> {
  const stop = async () => {
    await Promise.all([stopProgram(client), stopProgram(server)]);
  };
  try {
    await Promise.all([waitForPort(clientPort, client), waitForPort(serverPort, server)]);
  } catch (error) {
    await stop();
    throw error;
  }
  const read = (path: string) => readFileSync(path, 'utf8');
  return {
    client: [client.pid!],
    server: [server.pid!],
    callerCredentials: async () => ({ ca: read(ca), cert: read(certificate.cert), key: read(certificate.key) }),
    stop,
  };
}

/** Resolves when something listens; fails when the program ends before or takes 20 s. */
export async function waitForPort(port: number, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`${child.spawnargs.join(' ')} ended with code ${child.exitCode}`);
    if (await isOpen(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens on 127.0.0.1:${port} after 20 s`);
}

/** Fails where something listens already: it would be measured in place of the pair. */
export async function mustBeFree(port: number): Promise<void> {
  if (await isOpen(port)) throw new Error(`port ${port} is taken; end what listens there, or another bench`);
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => {
      resolve(true);
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
  });
}

/** What a program says of its version, first line. */
export function versionOf(command: string, ...args: readonly string[]): string {
  const { stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  return (stdout.trim() || stderr.trim()).split('\n')[0] ?? '';
}
