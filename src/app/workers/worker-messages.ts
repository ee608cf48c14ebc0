// What a data plane and its workers tell each other: what the supervisor says and hears, and beside it who takes which connection.
import type { FromDataPlane, ToDataPlane } from '../role-messages.js';

/** First message to a worker. */
export interface WorkerStart {
  readonly kind: 'worker';
  /** 0 to N-1; a worker that is started again keeps it. */
  readonly index: number;
  /** Base64; with it workers resume each other's TLS sessions. */
  readonly ticketSecret: string;
}

/** To a worker, about a port for which it has asked. */
export type PortAnswer =
  | { readonly kind: 'listening'; readonly place: string }
  /** Listening, or taking a connection later, failed. */
  | { readonly kind: 'port failed'; readonly place: string; readonly reason: string }
  /** A connection was turned away: too many were on their way to workers. */
  | { readonly kind: 'dropped'; readonly place: string }
  /** The socket travels with it. */
  | { readonly kind: 'connection'; readonly place: string; readonly id: number };

/** From a worker; a place is `ADDRESS PORT`. */
export type PortRequest =
  | { readonly kind: 'listen'; readonly place: string; readonly host: string; readonly port: number }
  | { readonly kind: 'stop listening'; readonly place: string }
  | { readonly kind: 'taken'; readonly id: number }
  /** It has stopped listening meanwhile. */
  | { readonly kind: 'declined'; readonly id: number };

export type ToWorker = WorkerStart | ToDataPlane | PortAnswer;
export type FromWorker = FromDataPlane | PortRequest;
