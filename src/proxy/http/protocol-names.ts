// Names of application protocols in handshakes (ALPN) that say which version of HTTP follows.

/**
 * HTTP/2 between Lateen proxies, which carries requests of every version: what applications spoke travels along and is what the
 * far side speaks to its application. Istio's `istio-h2` is not that: it says that the application speaks HTTP/2.
 */
export const multiplexProtocol = 'lateen-h2';

const http2Protocols: ReadonlySet<string> = new Set([multiplexProtocol, 'istio-h2', 'h2']);

/** Whether HTTP/2 follows a handshake that chose this protocol. */
export function isHttp2Protocol(protocol: string | undefined): boolean {
  return protocol !== undefined && http2Protocols.has(protocol);
}
