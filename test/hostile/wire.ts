// Reads HTTP/1 messages off a recorded connection, independently of the product's own parser: the judge must not share the
// faults of what it judges.

export interface WireMessage {
  /** Request line or status line. */
  readonly line: string;
  /** Lines of the head after the first, as they stood there. */
  readonly fields: readonly string[];
  /** Without framing. */
  readonly body: string;
  readonly trailers: readonly string[];
  /** False where the recording ends before the message does. */
  readonly complete: boolean;
  /** Where the next message begins. */
  readonly end: number;
}

/** Status of a response; 0 where the line has none. */
export function statusOf({ line }: WireMessage): number {
  return Number(/^HTTP\/1\.[01] (\d{3})/.exec(line)?.[1] ?? 0);
}

/** Value of the first field of that name. */
export function fieldOf({ fields }: WireMessage, name: string): string | undefined {
  const prefix = `${name.toLowerCase()}:`;
  return fields
    .find((field) => field.toLowerCase().startsWith(prefix))
    ?.slice(prefix.length)
    .trim();
}

/** All requests in what a server received. */
export function readRequests(bytes: string, from = 0): WireMessage[] {
  return readAll(bytes, from, () => 'none');
}

/**
 * All responses in what a client received; interim ones are left out.
 * @param methods of the requests that they answer
 * @param ended whether the connection ended in order
 */
export function readResponses(bytes: string, methods: readonly string[], ended: boolean): WireMessage[] {
  let answered = 0;
  return readAll(bytes, 0, (message) => {
    const status = statusOf(message);
    if (status < 200) return 'none';
    const method = methods[answered++] ?? 'GET';
    if (method === 'HEAD' || status === 204 || status === 304) return 'nothing';
    return ended ? 'close' : 'open';
  }).filter((message) => statusOf(message) >= 200 || statusOf(message) === 0);
}

/** How a message without Content-Length and Transfer-Encoding ends; `nothing` outweighs those too. */
type Unframed = 'none' | 'nothing' | 'close' | 'open';

function readAll(bytes: string, from: number, unframed: (message: WireMessage) => Unframed): WireMessage[] {
  const messages: WireMessage[] = [];
  for (let at = from; at < bytes.length;) {
    const message = readOne(bytes, at, unframed);
    messages.push(message);
    if (!message.complete) break;
    at = message.end;
  }
  return messages;
}

function readOne(bytes: string, at: number, unframed: (message: WireMessage) => Unframed): WireMessage {
  const headEnd = bytes.indexOf('\r\n\r\n', at);
  const [line = '', ...fields] = bytes.slice(at, headEnd < 0 ? undefined : headEnd).split('\r\n');
  const message: WireMessage = { line, fields, body: '', trailers: [], complete: false, end: bytes.length };
  if (headEnd < 0) return message;
  const start = headEnd + 4;
  const rule = unframed(message);
  if (rule === 'nothing') return { ...message, complete: true, end: start };
  if (fieldOf(message, 'transfer-encoding') !== undefined) return readChunked(bytes, start, message);
  const length = fieldOf(message, 'content-length');
  if (length !== undefined) {
    const end = start + Number(length);
    return { ...message, body: bytes.slice(start, end), complete: bytes.length >= end, end };
  }
  if (rule === 'none') return { ...message, complete: true, end: start };
  return { ...message, body: bytes.slice(start), complete: rule === 'close', end: bytes.length };
}

function readChunked(bytes: string, start: number, message: WireMessage): WireMessage {
  let body = '';
  for (let at = start; ;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return { ...message, body };
    const size = Number.parseInt(bytes.slice(at, lineEnd), 16);
    if (size === 0) {
      const end = bytes.indexOf('\r\n\r\n', lineEnd);
      if (end < 0) return { ...message, body };
      const trailers = bytes
        .slice(lineEnd + 2, end + 2)
        .split('\r\n')
        .filter((line) => line !== '');
      return { ...message, body, trailers, complete: true, end: end + 4 };
    }
    const dataEnd = lineEnd + 2 + size;
    body += bytes.slice(lineEnd + 2, dataEnd);
    if (!(dataEnd + 2 <= bytes.length)) return { ...message, body };
    at = dataEnd + 2;
  }
}
