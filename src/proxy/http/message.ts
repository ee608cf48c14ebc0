// HTTP messages as the proxy handles them, whatever version carries them.

/** Names and values in turn: name, value, name, value. Names are lower-case, order and repetition are kept. */
export type Headers = string[];

/** How a body is delimited where it was received. */
export type BodyFraming = 'none' | 'length' | 'chunked' | 'close';

export type HttpVersion = 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2';

export interface RequestHead {
  readonly method: string;
  /** Path with query, `*` for OPTIONS, empty for CONNECT. */
  path: string;
  /** Host header, or the authority of the target. */
  authority: string;
  readonly scheme: 'http' | 'https';
  /** Version in which the caller's application wrote it, whatever carried it since. */
  readonly version: HttpVersion;
  /** Without Host, without hop-by-hop fields, without body framing. */
  headers: Headers;
  readonly framing: BodyFraming;
  /** Content-Length as it was sent; -1 where it was not. */
  readonly contentLength: number;
  /** Bytes of the head on the wire. */
  readonly headBytes: number;
  /** Protocol to which the caller wants to switch, lower-case; undefined: none, or none that is allowed. */
  upgrade?: string | undefined;
  /** Whether the caller says that it takes trailers (`TE: trailers`), which servers of gRPC insist on. */
  readonly acceptsTrailers?: boolean;
  /** Names of headers that the caller keeps out of the tables of HTTP/2's compression, so that nobody else may put them there. */
  readonly secrets?: readonly string[];
}

export interface ResponseHead {
  readonly status: number;
  /** Without hop-by-hop fields and body framing. */
  headers: Headers;
  readonly framing: BodyFraming;
  /** Content-Length as it was sent, which answers to HEAD have without a body; -1 where it was not. */
  readonly contentLength: number;
  readonly headBytes: number;
  /** Protocol to which the server switches with status 101, lower-case. */
  readonly upgrade?: string | undefined;
  /** Names of headers that the server keeps out of the tables of HTTP/2's compression. */
  readonly secrets?: readonly string[];
}

/** The value of a header; several are joined by commas, as Envoy does (RFC 9110 section 5.3). */
export function findHeader(headers: Headers, name: string): string | undefined {
  let found: string | undefined;
  for (let i = 0; i < headers.length; i += 2)
    if (headers[i] === name) found = found === undefined ? headers[i + 1]! : `${found},${headers[i + 1]!}`;
  return found;
}

/** Removes every field of that name. */
export function removeHeader(headers: Headers, name: string): void {
  let kept = 0;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === name) continue;
    headers[kept] = headers[i]!;
    headers[kept + 1] = headers[i + 1]!;
    kept += 2;
  }
  headers.length = kept;
}

/** Replaces every field of that name by one, at the place of the first. */
export function setHeader(headers: Headers, name: string, value: string): void {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== name) continue;
    headers[i + 1] = value;
    for (let j = i + 2; j < headers.length; j += 2) {
      if (headers[j] !== name) continue;
      headers.splice(j, 2);
      j -= 2;
    }
    return;
  }
  headers.push(name, value);
}
