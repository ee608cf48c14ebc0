// Hands out free loopback ports that stay free: from below the range that the system gives to outgoing connections, and in
// blocks of which each mesh on the machine holds its own.
import { readFileSync } from 'node:fs';
import net, { type Server } from 'node:net';

const host = '127.0.0.1';
const firstPort = 20_000;
const blockSize = 64;

/** First port that outgoing connections may take (Linux; elsewhere IANA's). */
function firstEphemeralPort(): number {
  try {
    const low = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0]);
    return low > firstPort + blockSize ? low : 32_768;
  } catch {
    return 49_152;
  }
}

export class PortAllocator {
  /** Ports by what they are for: the same question gets the same answer. */
  readonly #assigned = new Map<string, number>();
  /** Blocks that are ours: their first port is held as long as this process lives. */
  readonly #sentinels: Server[] = [];
  #block: number[] = [];

  /** The port for `purpose`, now and later. */
  async allocate(purpose: string): Promise<number> {
    const known = this.#assigned.get(purpose);
    if (known !== undefined) return known;
    for (;;) {
      const port = this.#block.shift();
      if (port === undefined) this.#block = await this.#claimBlock();
      else if (await isFree(port)) {
        this.#assigned.set(purpose, port);
        return port;
      }
    }
  }

  close(): void {
    for (const sentinel of this.#sentinels) sentinel.close();
  }

  async #claimBlock(): Promise<number[]> {
    const blocks = Math.floor((firstEphemeralPort() - firstPort) / blockSize);
    const start = Math.floor(Math.random() * blocks);
    for (let i = 0; i < blocks; i++) {
      const base = firstPort + ((start + i) % blocks) * blockSize;
      const sentinel = await tryListen(base);
      if (sentinel === undefined) continue;
      sentinel.unref();
      this.#sentinels.push(sentinel);
      return Array.from({ length: blockSize - 1 }, (_, offset) => base + 1 + offset);
    }
    throw new Error(`no free block of ${blockSize} ports between ${firstPort} and ${firstEphemeralPort()}`);
  }
}

/** Whether something could listen on the port now. */
export async function isFree(port: number): Promise<boolean> {
  const server = await tryListen(port);
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

function tryListen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer((socket) => socket.destroy());
    server.once('error', () => resolve(undefined));
    server.listen({ host, port, exclusive: true }, () => resolve(server));
  });
}
