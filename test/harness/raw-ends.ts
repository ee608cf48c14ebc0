// Connections in the hands of a test, byte by byte: a caller's end, and the ends of an application that says what it likes.
import net, { type AddressInfo, type Socket } from 'node:net';

const withinMs = 15_000;

/** One end of a connection; what came and was not asked for yet is kept. */
export class RawEnd {
  readonly socket: Socket;
  /** Bytes as latin1 that nobody has asked for yet. */
  unread = '';
  /** How the other side ended the connection, once it has. */
  ended: 'fin' | 'reset' | undefined;
  readonly #watchers = new Set<() => void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay();
    socket.on('data', (chunk) => {
      this.unread += chunk.toString('latin1');
      this.#tell();
    });
    socket.on('end', () => {
      this.ended ??= 'fin';
      this.#tell();
    });
    socket.on('error', () => {
      this.ended = 'reset';
      this.#tell();
    });
  }

  static async connect(port: number): Promise<RawEnd> {
    const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new RawEnd(socket);
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher();
  }

  onChange(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Waits for text and takes everything up to its end. */
  async until(pattern: RegExp | string): Promise<string> {
    let taken = '';
    await waitFor(
      () => {
        const match = typeof pattern === 'string' ? this.unread.indexOf(pattern) : pattern.exec(this.unread);
        if (match === null || match === -1) return false;
        const end = typeof match === 'number' ? match + (pattern as string).length : match.index + match[0].length;
        taken = this.unread.slice(0, end);
        this.unread = this.unread.slice(end);
        return true;
      },
      (check) => this.onChange(check),
      () => `${pattern} did not come; there is ${JSON.stringify(this.unread.slice(0, 2000))} (${this.ended ?? 'open'})`,
    );
    return taken;
  }

  /** Waits for the end and takes everything before it. */
  async untilEnd(how?: 'fin' | 'reset'): Promise<string> {
    await waitFor(
      () => this.ended !== undefined && (how === undefined || this.ended === how),
      (check) => this.onChange(check),
      () => `no end came; there is ${JSON.stringify(this.unread.slice(0, 2000))} (${this.ended ?? 'open'})`,
    );
    return this.unread;
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  end(): void {
    this.socket.end();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  close(): void {
    this.socket.destroy();
  }
}

/** An application of which the test says every byte. */
export class RawServer {
  readonly ends: RawEnd[] = [];
  readonly #server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const end = new RawEnd(socket);
    this.ends.push(end);
    end.onChange(() => this.#tell());
  });
  readonly #watchers = new Set<() => void>();

  static async start(): Promise<RawServer> {
    const server = new RawServer();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher();
  }

  /** Waits for the request whose line is this, whatever connection it comes on, and takes its head. */
  async request(line: string): Promise<{ readonly end: RawEnd; readonly head: string }> {
    let found: RawEnd | undefined;
    await waitFor(
      () => {
        found = this.ends.find(({ unread }) => unread.startsWith(`${line}\r\n`) && unread.includes('\r\n\r\n'));
        return found !== undefined;
      },
      (check) => {
        this.#watchers.add(check);
        return () => this.#watchers.delete(check);
      },
      () => `${line} did not come; there is ${JSON.stringify(this.ends.map(({ unread }) => unread.slice(0, 500)))}`,
    );
    return { end: found!, head: await found!.until('\r\n\r\n') };
  }

  close(): void {
    this.#server.close();
    for (const end of this.ends) end.close();
  }
}

async function waitFor(
  holds: () => boolean,
  watch: (check: () => void) => () => void,
  message: () => string,
): Promise<void> {
  if (holds()) return;
  await new Promise<void>((resolve, reject) => {
    const stop = watch(() => {
      if (!holds()) return;
      finish();
      resolve();
    });
    const timer = setTimeout(() => {
      finish();
      reject(new Error(message()));
    }, withinMs);
    const finish = () => {
      clearTimeout(timer);
      stop();
    };
  });
}
