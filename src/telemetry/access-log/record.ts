// What is known of a request or connection when it ends: the fields from which log lines are made.

/** One finished request, or one finished TCP connection. Absent values print as `-`. */
export interface AccessRecord {
  /** Wall time of the first byte, in milliseconds. */
  readonly startTimeMs: number;
  readonly durationMs: number;
  /** `HTTP/1.1`, `HTTP/1.0`; undefined for bytes. */
  readonly protocol: string | undefined;
  /** 0 where no response began. */
  readonly responseCode: number;
  /** Envoy's flags joined by commas, `-` for none. */
  readonly responseFlags: string;
  /** Status of gRPC; undefined for what is not gRPC's and where none was sent. */
  readonly grpcStatus: number | undefined;
  readonly responseCodeDetails: string | undefined;
  readonly connectionTerminationDetails: string | undefined;
  readonly upstreamTransportFailureReason: string | undefined;
  /** Bytes of the request's body, or from the client. */
  readonly bytesReceived: number;
  /** Bytes of the response's body, or to the client. */
  readonly bytesSent: number;
  readonly upstreamHost: string | undefined;
  readonly upstreamCluster: string | undefined;
  readonly upstreamLocalAddress: string | undefined;
  readonly downstreamLocalAddress: string | undefined;
  readonly downstreamRemoteAddress: string | undefined;
  readonly requestedServerName: string | undefined;
  readonly routeName: string | undefined;
  /** A request header by lower-case name; `:method`, `:path` and `:authority` too. */
  requestHeader(name: string): string | undefined;
  /** A response header by lower-case name. */
  responseHeader(name: string): string | undefined;
}
