// Tells HTTP from other protocols by the first bytes of a connection: HTTP/1 begins with a method, HTTP/2 with its preface.

const methods = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
  'PROPFIND',
  'PROPPATCH',
  'MKCOL',
  'COPY',
  'MOVE',
  'LOCK',
  'UNLOCK',
  'REPORT',
  'SEARCH',
  'PURGE',
  'QUERY',
].map((method) => `${method} `);

/** What a client of HTTP/2 says first (RFC 9113 section 3.4); it is made so that no server of HTTP/1 goes on after it. */
const http2Preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** `http` is HTTP/1; `incomplete` where more bytes could still make it one of the two. */
export function detectHttp(bytes: Buffer): 'http' | 'http2' | 'other' | 'incomplete' {
  const start = bytes.toString('latin1', 0, Math.min(bytes.length, http2Preface.length));
  if (start === http2Preface) return 'http2';
  if (methods.some((method) => start.startsWith(method))) return 'http';
  const isOpen = http2Preface.startsWith(start) || methods.some((method) => method.startsWith(start));
  return isOpen ? 'incomplete' : 'other';
}
