// A toxiproxy under our control: ports that lead somewhere else, and what is done to the bytes on their way.
import type { ChildProcess } from 'node:child_process';
import { eventually } from '../harness/mesh.js';
import { freePort } from '../hostile/peers.js';
import { startTool } from './peers.js';

/** Toxics by name, as toxiproxy 2.5 takes them. */
export interface Toxic {
  readonly type: 'latency' | 'slicer' | 'bandwidth' | 'reset_peer' | 'limit_data' | 'slow_close' | 'timeout';
  readonly attributes: Readonly<Record<string, number>>;
  /** `downstream` is what the server sends. */
  readonly streams: readonly ('upstream' | 'downstream')[];
}

export class Toxiproxy {
  readonly #child: ChildProcess;
  readonly #url: string;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.#url = `http://127.0.0.1:${port}`;
  }

  static async start(): Promise<Toxiproxy> {
    const port = await freePort();
    const child = startTool('toxiproxy', ['-host', '127.0.0.1', '-port', String(port)], { stdio: 'ignore' });
    const proxy = new Toxiproxy(child, port);
    await eventually(async () => (await fetch(`${proxy.#url}/version`)).ok, 'toxiproxy');
    return proxy;
  }

  /** A port that leads to another one of this machine. */
  async lead(name: string, port: number): Promise<number> {
    const { listen } = (await this.#ask('POST', '/proxies', {
      name,
      listen: '127.0.0.1:0',
      upstream: `127.0.0.1:${port}`,
      enabled: true,
    })) as { listen: string };
    return Number(listen.split(':').at(-1));
  }

  /** Changes where a port leads; connections on it end. */
  async redirect(name: string, port: number): Promise<void> {
    await this.#ask('POST', `/proxies/${name}`, { upstream: `127.0.0.1:${port}`, enabled: true });
  }

  /** Ends the connections of a port and applies what is given, to all that come after. */
  async poison(name: string, { type, attributes, streams }: Toxic): Promise<void> {
    await this.#reconnect(name);
    for (const stream of streams)
      await this.#ask('POST', `/proxies/${name}/toxics`, { name: `${type}-${stream}`, type, stream, attributes });
  }

  /** Takes all toxics away and ends what they may have damaged. */
  async cure(name: string): Promise<void> {
    for (const toxic of (await this.#ask('GET', `/proxies/${name}/toxics`)) as { name: string }[])
      await this.#ask('DELETE', `/proxies/${name}/toxics/${toxic.name}`);
    await this.#reconnect(name);
  }

  async #reconnect(name: string): Promise<void> {
    await this.#ask('POST', `/proxies/${name}`, { enabled: false });
    await this.#ask('POST', `/proxies/${name}`, { enabled: true });
  }

  async #ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await fetch(this.#url + path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`toxiproxy: ${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}
