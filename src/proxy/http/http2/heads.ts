// Header lists of HTTP/2 and the heads of messages, in both directions (RFC 9113 section 8): what is malformed is refused
// before anybody sees it, so that nothing is turned into HTTP/1 that could be read in two ways there.
import { badValue, forbiddenTrailers, hostForm, targetForm, token } from '../field-syntax.js';
import type { Headers, HttpVersion, RequestHead, ResponseHead } from '../message.js';
import type { FrameWriter } from './frame-writer.js';
import { errorCode, StreamError } from './frames.js';

/** Fields that belong to a connection and have no place in HTTP/2 (section 8.2.2). */
const connectionFields = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

/** Names that were seen and found valid; bounded, because peers choose names. */
const validNames = new Set<string>();
const mostValidNames = 2000;
const longestKnownName = 64;
const upperCase = /[A-Z]/;

/**
 * Pseudo-header in which Lateen's proxies tell each other the version in which the application wrote a request; absent for
 * HTTP/1.1. No application can send it: names of fields do not begin with a colon, and elsewhere it is refused.
 */
const versionField = ':version';
/** Its value in an answer of success to a request to switch protocols: it was given as HTTP/1.1 does, and nothing was switched. */
const unswitched = '1.1';
const versions: Readonly<Record<string, HttpVersion>> = { '1.0': 'HTTP/1.0', '2': 'HTTP/2' };

/** What the fields of a message say beside their names and values. */
interface Fields {
  readonly headers: Headers;
  contentLength: number;
  host: string | undefined;
  acceptsTrailers: boolean;
  /** The length of the body is told in a form that servers have read differently; callers are refused, servers are not. */
  hasDisguisedFraming: boolean;
}

function malformed(reason: string): never {
  throw new StreamError(errorCode.protocolError, reason);
}

/** Regular fields from `from` on. */
function readFields(list: Headers, from: number): Fields {
  const fields: Fields = {
    headers: [],
    contentLength: -1,
    host: undefined,
    acceptsTrailers: false,
    hasDisguisedFraming: false,
  };
  for (let i = from; i < list.length; i += 2) {
    const name = list[i]!;
    const value = list[i + 1]!;
    if (!validNames.has(name)) checkName(name);
    if (badValue.test(value) || isPadded(value)) malformed(`the value of ${name} has characters that no value has`);
    switch (name) {
      case 'content-length':
        if (fields.contentLength >= 0 || !/^\d{1,15}$/.test(value))
          malformed('Content-Length is malformed or there twice');
        fields.contentLength = Number(value);
        break;
      case 'host':
        if (fields.host !== undefined) malformed('Host is there twice');
        fields.host = value;
        break;
      case 'te':
        if (value !== 'trailers') malformed('TE is not "trailers"');
        fields.acceptsTrailers = true;
        break;
      case 'transfer_encoding':
      case 'content_length':
        // Many an application cannot tell an underscore from a hyphen.
        fields.hasDisguisedFraming = true;
        fields.headers.push(name, value);
        break;
      default:
        fields.headers.push(name, value);
    }
  }
  return fields;
}

function checkName(name: string): void {
  if (name[0] === ':') malformed('a pseudo-header stands behind a header');
  if (!token.test(name) || upperCase.test(name)) malformed('a header name is malformed');
  if (connectionFields.has(name)) malformed(`${name} belongs to a connection`);
  if (name.length <= longestKnownName && validNames.size < mostValidNames)
    validNames.add(Buffer.from(name, 'latin1').toString('latin1'));
}

/** White space around a value, which would vanish in HTTP/1. */
function isPadded(value: string): boolean {
  if (value === '') return false;
  const first = value.charCodeAt(0);
  const last = value.charCodeAt(value.length - 1);
  return first === 0x20 || first === 0x09 || last === 0x20 || last === 0x09;
}

// ---- requests

/**
 * @param carries whether the peer is a Lateen proxy, which carries requests of every version
 * @param endStream whether the head is all of the request
 * @throws StreamError
 */
export function readRequestHead(list: Headers, listBytes: number, carries: boolean, endStream: boolean): RequestHead {
  let method: string | undefined;
  let scheme: string | undefined;
  let authority: string | undefined;
  let path: string | undefined;
  let protocol: string | undefined;
  let version: string | undefined;
  let i = 0;
  for (; i < list.length && list[i]!.charCodeAt(0) === 0x3a; i += 2) {
    const value = list[i + 1]!;
    switch (list[i]) {
      case ':method':
        if (method !== undefined) malformed(':method is there twice');
        method = value;
        break;
      case ':scheme':
        if (scheme !== undefined) malformed(':scheme is there twice');
        scheme = value;
        break;
      case ':authority':
        if (authority !== undefined) malformed(':authority is there twice');
        authority = value;
        break;
      case ':path':
        if (path !== undefined) malformed(':path is there twice');
        path = value;
        break;
      case ':protocol':
        if (protocol !== undefined) malformed(':protocol is there twice');
        protocol = value;
        break;
      case versionField:
        if (!carries || version !== undefined || versions[value] === undefined) malformed('an unknown pseudo-header');
        version = value;
        break;
      default:
        malformed('an unknown pseudo-header');
    }
  }
  if (method === undefined || !token.test(method)) malformed(':method is missing or malformed');
  const written = version === undefined ? (carries ? 'HTTP/1.1' : 'HTTP/2') : versions[version]!;
  const { headers, contentLength, host, acceptsTrailers, hasDisguisedFraming } = readFields(list, i);
  if (hasDisguisedFraming) malformed('the length of the body is told in a disguised form');
  if (authority === undefined) authority = host ?? '';
  else if (host !== undefined && host !== authority) malformed('Host differs from :authority');
  if (authority !== '' ? !hostForm.test(authority) : written === 'HTTP/2')
    malformed(':authority is missing or malformed');
  checkTarget(method, scheme, path, protocol, authority);
  const isTunnel = method === 'CONNECT';
  if ((endStream || isTunnel) && contentLength > 0) malformed('a body is announced and none comes');
  if (written === 'HTTP/2') joinCookies(headers);
  return {
    // An upgrade of HTTP/1.1 travels as extended CONNECT (RFC 8441).
    method: isTunnel && protocol !== undefined ? 'GET' : method,
    path: isTunnel && protocol === undefined ? '' : path!,
    authority,
    scheme: scheme === 'https' ? 'https' : 'http',
    version: written,
    headers,
    framing: endStream || isTunnel ? 'none' : contentLength >= 0 ? 'length' : 'chunked',
    contentLength: isTunnel ? -1 : contentLength,
    headBytes: listBytes - 16 * list.length,
    upgrade: isTunnel ? protocol?.toLowerCase() : undefined,
    acceptsTrailers,
  };
}

function checkTarget(
  method: string,
  scheme: string | undefined,
  path: string | undefined,
  protocol: string | undefined,
  authority: string,
): void {
  if (method === 'CONNECT' && protocol === undefined) {
    if (scheme !== undefined || path !== undefined) malformed('CONNECT has a scheme or a path');
    if (!/:\d+$/.test(authority)) malformed('target of CONNECT has no port');
    return;
  }
  if (protocol !== undefined && (method !== 'CONNECT' || !token.test(protocol)))
    malformed(':protocol stands where it has no meaning');
  if (scheme !== 'http' && scheme !== 'https') malformed(':scheme is missing or unknown');
  if (path === undefined || !targetForm.test(path)) malformed(':path is missing or malformed');
  if (path[0] !== '/' && !(path === '*' && method === 'OPTIONS')) malformed(':path is malformed');
}

/** Cookies may be sent in pieces for the sake of compression; elsewhere they are one field (section 8.2.3). */
function joinCookies(headers: Headers): void {
  let first = -1;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== 'cookie') continue;
    if (first < 0) first = i + 1;
    else {
      headers[first] += `; ${headers[i + 1]!}`;
      headers.splice(i, 2);
      i -= 2;
    }
  }
}

/** Whether the head is all of a request, so that it ends the stream. */
export function isHeadAll({ framing, method, upgrade }: RequestHead): boolean {
  return framing === 'none' && upgrade === undefined && method !== 'CONNECT';
}

/** @param carries whether the peer is a Lateen proxy @returns bytes of the head */
export function writeRequestHead(
  writer: FrameWriter,
  streamId: number,
  request: RequestHead,
  carries: boolean,
): number {
  const { method, scheme, authority, path, version, headers, contentLength, upgrade } = request;
  writer.beginBlock(headers, method.length + authority.length + path.length);
  writer.field(':method', upgrade === undefined ? method : 'CONNECT');
  if (upgrade !== undefined || method !== 'CONNECT') {
    writer.field(':scheme', scheme);
    writer.field(':path', path);
  }
  if (authority !== '') writer.field(':authority', authority);
  if (upgrade !== undefined) writer.field(':protocol', upgrade);
  if (carries && version !== 'HTTP/1.1') writer.field(versionField, version === 'HTTP/2' ? '2' : '1.0');
  writer.fields(headers, request.secrets);
  if (contentLength >= 0 && upgrade === undefined) writer.field('content-length', String(contentLength));
  if (request.acceptsTrailers === true) writer.field('te', 'trailers');
  // A body of chunks that turns out empty is told from none: the end then comes in a frame of its own.
  return writer.endBlock(streamId, isHeadAll(request), request.framing !== 'chunked');
}

// ---- responses

/** Whether a Lateen proxy says that the server did not switch protocols though it was asked to; that is taken out. */
export function takeUnswitched(list: Headers): boolean {
  if (list[2] !== versionField || list[3] !== unswitched) return false;
  list.splice(2, 2);
  return true;
}

/** @throws StreamError */
export function readResponseHead(list: Headers, listBytes: number, method: string, endStream: boolean): ResponseHead {
  if (list[0] !== ':status' || !/^[1-9]\d\d$/.test(list[1]!)) malformed(':status is missing or malformed');
  const status = Number(list[1]);
  if (list[2]?.charCodeAt(0) === 0x3a) malformed('a pseudo-header too many');
  const { headers, contentLength } = readFields(list, 2);
  if (status === 101) malformed('HTTP/2 has no switch of protocols');
  if (endStream && contentLength > 0 && method !== 'HEAD' && status !== 304)
    malformed('a body is announced and none comes');
  return {
    status,
    headers,
    framing: endStream || isBodiless(status, method) ? 'none' : contentLength >= 0 ? 'length' : 'chunked',
    contentLength,
    headBytes: listBytes - 16 * list.length,
  };
}

/** Whether no body follows, whatever the head says. */
function isBodiless(status: number, method: string): boolean {
  return status < 200 || status === 204 || status === 304 || method === 'HEAD';
}

/**
 * @param isUnswitched whether it answers a request to switch protocols, to a Lateen proxy, without doing so
 * @returns bytes of the head
 */
export function writeResponseHead(
  writer: FrameWriter,
  streamId: number,
  { status, headers, contentLength, framing, secrets }: ResponseHead,
  endStream: boolean,
  isUnswitched = false,
): number {
  writer.beginBlock(headers);
  writer.field(':status', String(status));
  if (isUnswitched) writer.field(versionField, unswitched);
  writer.fields(headers, secrets);
  if (contentLength >= 0 && status >= 200 && status !== 204) writer.field('content-length', String(contentLength));
  return writer.endBlock(streamId, endStream, framing !== 'chunked');
}

// ---- trailers

const dropped = new Set([...forbiddenTrailers, 'host', 'te', 'content-length']);

/** @throws StreamError */
export function readTrailers(list: Headers): Headers {
  if (list[0]?.charCodeAt(0) === 0x3a) malformed('a pseudo-header among trailers');
  const { headers } = readFields(list, 0);
  for (let i = 0; i < headers.length; i += 2) {
    if (!dropped.has(headers[i]!)) continue;
    headers.splice(i, 2);
    i -= 2;
  }
  return headers;
}
