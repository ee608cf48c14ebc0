// Parses the heads of HTTP/1 messages (RFC 9112), once, strictly: whatever two implementations could read differently is
// refused, because a proxy that guesses is how requests are smuggled.
import { STATUS_CODES } from 'node:http';
import { absoluteForm, badValue, forbiddenTrailers, hostForm, targetForm, token } from '../field-syntax.js';
import type { BodyFraming, Headers, RequestHead, ResponseHead } from '../message.js';

/** A message that is refused; `status` is what a client is told. */
export class HttpSyntaxError extends Error {
  override readonly name = 'HttpSyntaxError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Bounds of a head. */
export interface HeadLimits {
  readonly bytes: number;
  readonly fields: number;
}

/** What the connection itself needs to know of a head, beside the message. */
export interface ConnectionOptions {
  /** Whether another message may follow on the connection. */
  readonly keepAlive: boolean;
  readonly expectsContinue: boolean;
  /** How long the sender keeps an idle connection, where it says so. */
  readonly keepAliveTimeoutMs: number | undefined;
}

interface Fields {
  headers: Headers;
  host: string | undefined;
  contentLength: number;
  chunked: boolean;
  /** Framing is said in a form that servers have read differently; callers are refused, servers are not. */
  hasDisguisedFraming: boolean;
  close: boolean;
  keepAlive: boolean;
  expectsContinue: boolean;
  keepAliveTimeoutMs: number | undefined;
  /** Protocol of `Upgrade`, where `Connection` names it. */
  upgrade: string | undefined;
  namesUpgrade: boolean;
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Fields between two neighbours only (RFC 9110 section 7.6.1). What `Connection` names beyond these stays: a caller must not be able to take away headers that somebody relies on. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'host',
  'content-length',
]);

/** Lower-case forms of header names that were seen and found valid; bounded, because peers choose names. */
const knownNames = new Map<string, string>();
const mostKnownNames = 2000;
const longestKnownName = 64;

/**
 * Looks at the beginning of a head that is not complete: whoever ends lines in other ways than by CR LF would never
 * complete one.
 * @param from bytes before it have been looked at
 * @throws HttpSyntaxError
 */
export function checkLineEnds(bytes: Buffer, start: number, from: number): void {
  for (let i = bytes.indexOf(lineFeed, from); i >= 0; i = bytes.indexOf(lineFeed, i + 1))
    if (i === start || bytes[i - 1] !== carriageReturn)
      throw new HttpSyntaxError(400, 'a line ends without carriage return');
  // The carriage return that was last the time before has a successor now.
  for (
    let i = bytes.indexOf(carriageReturn, Math.max(start, from - 1));
    i >= 0;
    i = bytes.indexOf(carriageReturn, i + 1)
  )
    if (i + 1 < bytes.length && bytes[i + 1] !== lineFeed)
      throw new HttpSyntaxError(400, 'a carriage return does not end a line');
}

/** The same for a request, which also has to begin like one: HTTP/0.9 ends after its first line. */
export function checkRequestBeginning(bytes: Buffer, start: number, from: number): void {
  checkLineEnds(bytes, start, from);
  const lineEnd = bytes.indexOf('\r\n', start);
  if (lineEnd >= 0 && from <= lineEnd + 1) parseRequestLine(bytes.toString('latin1', start, lineEnd));
}

interface RequestLine {
  readonly method: string;
  readonly target: string;
  readonly version: RequestHead['version'];
}

function parseRequestLine(line: string): RequestLine {
  const methodEnd = line.indexOf(' ');
  const targetEnd = line.indexOf(' ', methodEnd + 1);
  if (methodEnd <= 0 || targetEnd < 0) throw new HttpSyntaxError(400, 'request line is malformed');
  const method = line.slice(0, methodEnd);
  const target = line.slice(methodEnd + 1, targetEnd);
  const version = versionOf(line.slice(targetEnd + 1));
  if (!token.test(method)) throw new HttpSyntaxError(400, 'method is malformed');
  if (!targetForm.test(target)) throw new HttpSyntaxError(400, 'target is malformed');
  return { method, target, version };
}

/** Parses the head of a request, given as text of bytes without the empty line at its end. */
export function parseRequestHead(text: string, limits: HeadLimits): RequestHead & ConnectionOptions {
  const lineEnd = text.indexOf('\r\n');
  const { method, target, version } = parseRequestLine(lineEnd < 0 ? text : text.slice(0, lineEnd));
  const fields = parseFields(text, lineEnd, version, limits);
  if (fields.hasDisguisedFraming) throw new HttpSyntaxError(400, 'the length of the body is told in a disguised form');
  if (method === 'CONNECT' && (fields.chunked || fields.contentLength >= 0))
    throw new HttpSyntaxError(400, 'CONNECT has a body');
  const headBytes = text.length + 4;
  const framing: BodyFraming = fields.chunked ? 'chunked' : fields.contentLength > 0 ? 'length' : 'none';
  const connection: ConnectionOptions = {
    // What follows a CONNECT is for the other end of the tunnel; where there is no tunnel it must not become a request.
    keepAlive: method !== 'CONNECT' && (version === 'HTTP/1.1' ? !fields.close : fields.keepAlive && !fields.close),
    expectsContinue: fields.expectsContinue && version === 'HTTP/1.1',
    keepAliveTimeoutMs: undefined,
  };
  const { authority, path, scheme } = readTarget(method, target, version, fields.host);
  return {
    method,
    path,
    authority,
    scheme,
    version,
    headers: fields.headers,
    framing,
    contentLength: fields.contentLength,
    headBytes,
    // A switch begins with a whole request (RFC 9110 section 7.8), and HTTP/1.0 knows none.
    upgrade: framing === 'none' && version === 'HTTP/1.1' ? fields.upgrade : undefined,
    ...connection,
  };
}

/** Parses the head of a response to a request with `method`. */
export function parseResponseHead(text: string, method: string, limits: HeadLimits): ResponseHead & ConnectionOptions {
  const lineEnd = text.indexOf('\r\n');
  const line = lineEnd < 0 ? text : text.slice(0, lineEnd);
  const version = versionOf(line.slice(0, 8));
  const status = Number(line.slice(9, 12));
  if (
    line[8] !== ' ' ||
    !/^[1-9]\d\d$/.test(line.slice(9, 12)) ||
    (line.length > 12 && line[12] !== ' ') ||
    badValue.test(line)
  )
    throw new HttpSyntaxError(502, 'status line is malformed');
  const fields = parseFields(text, lineEnd, version, limits);
  const framing = responseFraming(status, method, fields);
  const keepAlive = framing !== 'close' && (version === 'HTTP/1.1' ? !fields.close : fields.keepAlive && !fields.close);
  return {
    status,
    headers: fields.headers,
    framing,
    contentLength: fields.contentLength,
    headBytes: text.length + 4,
    upgrade: fields.upgrade,
    keepAlive,
    expectsContinue: false,
    keepAliveTimeoutMs: fields.keepAliveTimeoutMs,
  };
}

/** Parses trailers, given as text of lines without the empty line at the end; forbidden names are dropped (RFC 9110 section 6.5.1). */
export function parseTrailers(text: string, limits: HeadLimits): Headers {
  if (text === '') return [];
  const { headers } = parseFields(`\r\n${text}`, 0, 'HTTP/1.1', limits, forbiddenInTrailers);
  return headers;
}

const forbiddenInTrailers = new Set([...hopByHop, ...forbiddenTrailers]);

function responseFraming(status: number, method: string, fields: Fields): BodyFraming {
  if (status < 200 || status === 204 || status === 304 || method === 'HEAD' || (method === 'CONNECT' && status < 300))
    return 'none';
  if (fields.chunked) return 'chunked';
  if (fields.contentLength > 0) return 'length';
  return fields.contentLength === 0 ? 'none' : 'close';
}

function versionOf(text: string): RequestHead['version'] {
  if (text === 'HTTP/1.1' || text === 'HTTP/1.0') return text;
  throw new HttpSyntaxError(
    /^HTTP\/\d+(?:\.\d+)?$/.test(text) ? 505 : 400,
    'protocol version is not HTTP/1.1 or HTTP/1.0',
  );
}

function readTarget(
  method: string,
  target: string,
  version: string,
  host: string | undefined,
): Pick<RequestHead, 'authority' | 'path' | 'scheme'> {
  if (host === undefined && version === 'HTTP/1.1') throw new HttpSyntaxError(400, 'Host is missing');
  if (method === 'CONNECT') {
    if (!/:\d+$/.test(target)) throw new HttpSyntaxError(400, 'target of CONNECT has no port');
    return { authority: checkHost(target), path: '', scheme: 'http' };
  }
  if (target[0] === '/') return { authority: checkHost(host ?? ''), path: target, scheme: 'http' };
  if (target === '*' && method === 'OPTIONS') return { authority: checkHost(host ?? ''), path: '*', scheme: 'http' };
  // The target of the absolute form outweighs Host (RFC 9112 section 3.2.2).
  const match = absoluteForm.exec(target);
  if (match === null) throw new HttpSyntaxError(400, 'target is malformed');
  checkHost(host ?? '');
  const rest = match[3]!;
  if (match[2] === '') throw new HttpSyntaxError(400, 'target has no host');
  return { authority: checkHost(match[2]!), path: rest[0] === '/' ? rest : `/${rest}`, scheme: 'http' };
}

function checkHost(host: string): string {
  if (host !== '' && !hostForm.test(host)) throw new HttpSyntaxError(400, 'Host is malformed');
  return host;
}

function parseFields(
  text: string,
  lineEnd: number,
  version: string,
  limits: HeadLimits,
  dropped: ReadonlySet<string> = hopByHop,
): Fields {
  const fields: Fields = {
    headers: [],
    host: undefined,
    contentLength: -1,
    chunked: false,
    hasDisguisedFraming: false,
    close: false,
    keepAlive: false,
    expectsContinue: false,
    keepAliveTimeoutMs: undefined,
    upgrade: undefined,
    namesUpgrade: false,
  };
  let count = 0;
  let transferEncoding: string | undefined;
  for (let at = lineEnd; at >= 0;) {
    const start = at + 2;
    const next = text.indexOf('\r\n', start);
    const end = next < 0 ? text.length : next;
    const colon = text.indexOf(':', start);
    if (colon <= start || colon >= end) throw new HttpSyntaxError(400, 'header line is malformed');
    if (++count > limits.fields) throw new HttpSyntaxError(431, `more than ${limits.fields} header fields`);
    const name = nameOf(text.slice(start, colon));
    const value = valueOf(text, colon + 1, end);
    switch (name) {
      case 'host':
        if (fields.host !== undefined) throw new HttpSyntaxError(400, 'Host is there twice');
        fields.host = value;
        break;
      case 'content-length':
        if (fields.contentLength >= 0 || !/^\d{1,15}$/.test(value))
          throw new HttpSyntaxError(400, 'Content-Length is malformed or there twice');
        fields.contentLength = Number(value);
        break;
      case 'transfer-encoding':
        if (transferEncoding !== undefined) throw new HttpSyntaxError(400, 'Transfer-Encoding is there twice');
        transferEncoding = value;
        // White space that the grammar allows here is sent by nobody but those who hope that the next server reads it otherwise.
        if (end - colon - 1 !== value.length && (end - colon - 2 !== value.length || text[colon + 1] !== ' '))
          fields.hasDisguisedFraming = true;
        break;
      case 'transfer_encoding':
      case 'content_length':
        // Many an application cannot tell an underscore from a hyphen.
        fields.hasDisguisedFraming = true;
        break;
      case 'connection':
      case 'proxy-connection':
        readConnection(value, fields);
        break;
      case 'upgrade':
        if (fields.upgrade !== undefined) throw new HttpSyntaxError(400, 'Upgrade is there twice');
        fields.upgrade = value.toLowerCase();
        break;
      case 'keep-alive': {
        const timeout = /(?:^|[ ,;])timeout=(\d{1,6})/i.exec(value);
        if (timeout !== null) fields.keepAliveTimeoutMs = Number(timeout[1]) * 1000;
        break;
      }
      case 'expect':
        if (value.toLowerCase() === '100-continue') fields.expectsContinue = true;
        break;
    }
    if (!dropped.has(name)) fields.headers.push(name, value);
    at = next;
  }
  if (!fields.namesUpgrade) fields.upgrade = undefined;
  if (transferEncoding !== undefined) {
    if (fields.contentLength >= 0) throw new HttpSyntaxError(400, 'Content-Length stands beside Transfer-Encoding');
    if (version === 'HTTP/1.0') throw new HttpSyntaxError(400, 'Transfer-Encoding in HTTP/1.0');
    if (transferEncoding.toLowerCase() !== 'chunked')
      throw new HttpSyntaxError(
        /^[a-z]+ *, *chunked$/i.test(transferEncoding) ? 501 : 400,
        'Transfer-Encoding is not chunked',
      );
    fields.chunked = true;
  }
  return fields;
}

function readConnection(value: string, fields: Fields): void {
  for (const option of value.toLowerCase().split(',')) {
    const name = option.trim();
    if (name === 'close') fields.close = true;
    else if (name === 'keep-alive') fields.keepAlive = true;
    else if (name === 'upgrade') fields.namesUpgrade = true;
  }
}

function nameOf(raw: string): string {
  const known = knownNames.get(raw);
  if (known !== undefined) return known;
  if (!token.test(raw)) throw new HttpSyntaxError(400, 'header name is malformed');
  if (raw.length > longestKnownName || knownNames.size >= mostKnownNames) return raw.toLowerCase();
  // A copy: a slice would keep the whole head in memory.
  const copy = Buffer.from(raw, 'latin1').toString('latin1');
  const name = copy.toLowerCase();
  knownNames.set(copy, name);
  return name;
}

function valueOf(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  const value = text.slice(start, end);
  if (badValue.test(value)) throw new HttpSyntaxError(400, 'header value has a control character');
  return value;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** The status line and fields of a response, and what ends the head. */
export function formatResponseHead(head: ResponseHead, framing: string): string {
  let text = `HTTP/1.1 ${head.status} ${STATUS_CODES[head.status] ?? 'Unknown'}\r\n`;
  const { headers } = head;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]!}: ${headers[i + 1]!}\r\n`;
  return `${text}${framing}\r\n`;
}

/** The request line and fields of a request, and what ends the head. */
export function formatRequestHead(head: RequestHead, framing: string): string {
  let text = `${head.method} ${head.path === '' ? head.authority : head.path} HTTP/1.1\r\nhost: ${head.authority}\r\n`;
  const { headers } = head;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]!}: ${headers[i + 1]!}\r\n`;
  return `${text}${framing}\r\n`;
}

/** Fields that ask for a switch of protocols, or grant it. */
export function formatUpgrade(protocol: string): string {
  return `connection: upgrade\r\nupgrade: ${protocol}\r\n`;
}

export function formatTrailers(trailers: Headers | undefined): string {
  let text = '';
  for (let i = 0; i < (trailers?.length ?? 0); i += 2) text += `${trailers![i]!}: ${trailers![i + 1]!}\r\n`;
  return text;
}
