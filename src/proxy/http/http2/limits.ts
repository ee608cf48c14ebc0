// What an HTTP/2 peer can make us hold: Envoy's Http2ProtocolOptions with the values that Envoy advises at an edge, which are
// the defaults here.

export interface Http2Limits {
  /** Requests that the peer may have under way on one connection (SETTINGS_MAX_CONCURRENT_STREAMS). */
  readonly maxConcurrentStreams: number;
  /** Bytes of one body that the peer may send ahead of whoever takes it (SETTINGS_INITIAL_WINDOW_SIZE). */
  readonly streamWindowBytes: number;
  /** The same for all bodies of a connection together. */
  readonly connectionWindowBytes: number;
}

/**
 * By how much the heads that proxies of the mesh send each other may be larger than what the first of them was sent: it adds
 * headers, and HTTP/2 counts 32 bytes a field that HTTP/1 does not.
 */
export const carriedHeadFactor = 2;

export const defaultHttp2Limits: Http2Limits = {
  maxConcurrentStreams: 100,
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 1024 * 1024,
};

/** A quarter of a stream's window: a proxy of the mesh has given half of it back by then. */
export const leastWindowOfMesh = defaultHttp2Limits.streamWindowBytes / 4;
