// Tells HTTP/1 from other protocols by the first bytes of a connection: HTTP begins with a method.

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

/** `incomplete` where more bytes could still make it a method. */
export function detectHttp(bytes: Buffer): 'http' | 'other' | 'incomplete' {
  const start = bytes.toString('latin1', 0, Math.min(bytes.length, 16));
  if (methods.some((method) => start.startsWith(method))) return 'http';
  return methods.some((method) => method.startsWith(start)) ? 'incomplete' : 'other';
}
