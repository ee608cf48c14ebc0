// Reads the server name and the protocols that a TLS client offers, before anybody answers it: they choose the filter chain.
// Only the ClientHello is looked at (RFC 8446 section 4.1.2), with bounds, and nothing of it is trusted.

export interface ClientHello {
  readonly serverName: string | undefined;
  /** Application protocols in the client's order; empty where it offers none. */
  readonly protocols: readonly string[];
}

/** What the first bytes of a connection turned out to be. */
export type HelloState =
  | { readonly state: 'incomplete' }
  | { readonly state: 'not-tls' }
  | { readonly state: 'complete'; readonly hello: ClientHello };

const recordHandshake = 0x16;
const handshakeClientHello = 0x01;
const extensionServerName = 0;
const extensionProtocols = 16;
/** Longest ClientHello that is read; real ones have a few kilobytes at most. */
const longestHello = 64 * 1024;

/** Looks for a ClientHello at the start of `bytes`. */
export function readClientHello(bytes: Buffer): HelloState {
  if (bytes.length === 0) return { state: 'incomplete' };
  if (bytes[0] !== recordHandshake || (bytes.length > 1 && bytes[1] !== 3)) return { state: 'not-tls' };
  const message = joinRecords(bytes);
  if (message === 'not-tls') return { state: 'not-tls' };
  if (message === 'incomplete') return bytes.length > longestHello ? { state: 'not-tls' } : { state: 'incomplete' };
  try {
    return { state: 'complete', hello: parseHello(message) };
  } catch {
    return { state: 'not-tls' };
  }
}

/** The ClientHello may be spread over several records. */
function joinRecords(bytes: Buffer): Buffer | 'incomplete' | 'not-tls' {
  const fragments: Buffer[] = [];
  let have = 0;
  let need = 4;
  for (let at = 0; have < need;) {
    if (at + 5 > bytes.length) return 'incomplete';
    if (bytes[at] !== recordHandshake) return 'not-tls';
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0) return 'not-tls';
    const fragment = bytes.subarray(at + 5, at + 5 + length);
    fragments.push(fragment);
    have += fragment.length;
    if (have >= 4 && need === 4) {
      const start = Buffer.concat(fragments);
      if (start[0] !== handshakeClientHello) return 'not-tls';
      need = 4 + start.readUIntBE(1, 3);
      if (need > longestHello) return 'not-tls';
    }
    if (fragment.length < length && have < need) return 'incomplete';
    at += 5 + length;
  }
  return Buffer.concat(fragments).subarray(4, need);
}

/** A position in a message whose lengths are checked at every step. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isEmpty(): boolean {
    return this.#at >= this.#bytes.length;
  }

  number(size: 1 | 2): number {
    return this.take(size).readUIntBE(0, size);
  }

  take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new RangeError('cut off');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** A vector: its length in `size` bytes, then its content. */
  vector(size: 1 | 2): Reader {
    return new Reader(this.take(this.number(size)));
  }

  rest(): Buffer {
    return this.take(this.#bytes.length - this.#at);
  }
}

function parseHello(message: Buffer): ClientHello {
  const reader = new Reader(message);
  reader.take(2 + 32); // version and random
  reader.vector(1); // session identifier
  reader.vector(2); // cipher suites
  reader.vector(1); // compression methods
  let serverName: string | undefined;
  const protocols: string[] = [];
  if (reader.isEmpty) return { serverName, protocols };
  const extensions = reader.vector(2);
  while (!extensions.isEmpty) {
    const type = extensions.number(2);
    const content = extensions.vector(2);
    if (type === extensionServerName) serverName = readServerName(content);
    else if (type === extensionProtocols) {
      const list = content.vector(2);
      while (!list.isEmpty) protocols.push(list.vector(1).rest().toString('latin1'));
    }
  }
  return { serverName, protocols };
}

function readServerName(content: Reader): string | undefined {
  if (content.isEmpty) return undefined;
  const names = content.vector(2);
  while (!names.isEmpty) {
    const type = names.number(1);
    const name = names.vector(2).rest().toString('latin1');
    if (type === 0) return /^[\x21-\x7e]{1,255}$/.test(name) ? name.toLowerCase() : undefined;
  }
  return undefined;
}
