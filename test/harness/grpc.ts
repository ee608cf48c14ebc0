// Calls the methods of test/apps/grpc-server.mjs with grpc-js: messages are bytes, answers are all that came of a call.
import {
  Client,
  credentials,
  Metadata,
  type CallOptions,
  type ClientDuplexStream,
  type StatusObject,
} from '@grpc/grpc-js';

/** What a call got. */
export interface CallOutcome {
  readonly messages: readonly Buffer[];
  readonly headers: Metadata | undefined;
  readonly status: StatusObject;
}

export interface CallInput {
  readonly metadata?: Readonly<Record<string, string | Buffer>>;
  /** Milliseconds from now. */
  readonly deadlineMs?: number;
}

/** Ten times what any call of a test takes. */
const longestMs = 20_000;

type Stream = ClientDuplexStream<Buffer, Buffer>;
const bytes = (value: Buffer): Buffer => value;

/** A client of one port, which is a proxy's or the server's own. */
export class EchoClient {
  readonly #client: Client;

  constructor(port: number) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.enable_retries': 0,
    });
  }

  /** A call whose stream is in the hands of the test; every kind is one of streams on the wire. */
  open(
    method: 'Unary' | 'ServerStream' | 'ClientStream' | 'Bidi',
    { metadata = {}, deadlineMs }: CallInput = {},
  ): Stream {
    const sent = new Metadata();
    for (const [name, value] of Object.entries(metadata)) sent.set(name, value);
    const options: CallOptions = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
    return this.#client.makeBidiStreamRequest(`/test.Echo/${method}`, bytes, bytes, sent, options);
  }

  /** Sends all messages and waits for the end. */
  async call(
    method: Parameters<EchoClient['open']>[0],
    messages: readonly (string | Buffer)[],
    input: CallInput = {},
  ): Promise<CallOutcome> {
    const stream = this.open(method, input);
    const outcome = outcomeOf(stream);
    for (const message of messages)
      if (!stream.write(Buffer.from(message))) await new Promise((resolve) => stream.once('drain', resolve));
    stream.end();
    return outcome;
  }

  close(): void {
    this.#client.close();
  }
}

/** Everything that comes of a call, whether it succeeds or not. */
export async function outcomeOf(stream: Stream): Promise<CallOutcome> {
  const messages: Buffer[] = [];
  let headers: Metadata | undefined;
  stream.on('metadata', (metadata) => (headers = metadata));
  stream.on('data', (message: Buffer) => messages.push(message));
  stream.on('error', () => undefined); // told by the status too
  const status = await new Promise<StatusObject>((resolve, reject) => {
    const guard = setTimeout(() => reject(new Error(`no end of a call; messages: ${messages.length}`)), longestMs);
    stream.once('status', (end) => {
      clearTimeout(guard);
      resolve(end);
    });
  });
  return { messages, headers, status };
}
