// One keep-alive connection that sends a request when it is told to: for loads in which time, not the last answer, decides.
import net from 'node:net';

const endOfHead = Buffer.from('\r\n\r\n');

export class Caller {
  readonly #socket: net.Socket;
  readonly #request: Buffer;
  #head: Buffer = Buffer.alloc(0);
  /** Bytes of the body that are still to come; undefined while the head is read. */
  #missing: number | undefined;
  #status = 0;
  #answered: ((status: number) => void) | undefined;

  private constructor(socket: net.Socket, path: string) {
    this.#socket = socket;
    this.#request = Buffer.from(`GET ${path} HTTP/1.1\r\nhost: web\r\n\r\n`);
    socket.setNoDelay(true);
    socket.on('data', (data) => this.#read(data));
    socket.on('error', () => this.#end(0));
    socket.on('close', () => this.#end(0));
  }

  /** Connects to 127.0.0.1. */
  static open(port: number, path: string): Promise<Caller> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(new Caller(socket, path)));
      socket.once('error', reject);
    });
  }

  /** Sends the request; `answered` is called once with the status, 0 where there was no whole answer. */
  send(answered: (status: number) => void): void {
    this.#answered = answered;
    if (this.#socket.destroyed) this.#end(0);
    else this.#socket.write(this.#request);
  }

  close(): void {
    this.#answered = undefined;
    this.#socket.destroy();
  }

  #read(data: Buffer): void {
    if (this.#missing === undefined) {
      this.#head = this.#head.length === 0 ? data : Buffer.concat([this.#head, data]);
      const end = this.#head.indexOf(endOfHead);
      if (end < 0) return;
      const head = this.#head.toString('latin1', 0, end);
      this.#status = Number(head.slice(9, 12));
      this.#missing = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? Number.NaN);
      data = this.#head.subarray(end + endOfHead.length);
      this.#head = Buffer.alloc(0);
    }
    this.#missing -= data.length;
    if (this.#missing > 0) return;
    const whole = this.#missing === 0;
    this.#missing = undefined;
    this.#end(whole ? this.#status : 0);
  }

  #end(status: number): void {
    const answered = this.#answered;
    this.#answered = undefined;
    answered?.(status);
  }
}

/** Opens many, a few at a time, and has each answer one request. */
export async function openCallers(port: number, path: string, count: number): Promise<Caller[]> {
  const callers: Caller[] = [];
  while (callers.length < count) {
    const some = await Promise.all(
      Array.from({ length: Math.min(50, count - callers.length) }, () => Caller.open(port, path)),
    );
    callers.push(...some);
  }
  const statuses = await Promise.all(callers.map((caller) => new Promise<number>((resolve) => caller.send(resolve))));
  const failed = statuses.filter((status) => status !== 200).length;
  if (failed > 0) {
    for (const caller of callers) caller.close();
    throw new Error(`${failed} of ${count} connections got no answer`);
  }
  return callers;
}
